# What comes before each block of the documents when a test runs it (examples.rs): the files that it speaks of, in the
# empty folder that it runs in, and what a person would do by hand. A command that would go on for long is ended.
#
# Given: ROOT (the repository), STOCK (small files), RESNET50 (weights), QUIC, HTTP and ADMIN (addresses), WEIR_ADMIN_URL and
# WEIR_HTTP_URL (the same for `weir`), WEIR_TEST_PYTHON, and the programs on the PATH.

cp -r "$STOCK"/. "$ROOT"/dashboards "$ROOT"/examples .
mkdir -p models photos worker/tests var/lib/camera var/lib/weir man .zfunc .local/share/bash-completion/completions \
    .config/fish/completions
ln -s "$ROOT"/models/* models/
ln -s "$ROOT"/worker/tests/fixtures worker/tests/
for name in A B third-party-resnet56; do cp models/resnet56-cifar10.profile.json $name.profile.json; done
ln -s "$RESNET50" resnet50.safetensors
ln -s "$RESNET50" var/lib/weir/resnet50.safetensors
for name in photo.jpg photos/one.jpg photos/two.jpg var/lib/camera/frame.jpg another.png; do cp cat.jpg $name; done
command weir certs --out etc/weir/certs --orchestrator main --worker camera >certs.log
echo a-token-of-admins-0123 >etc/weir/admin.token
export HOME=$PWD EDITOR=true

# Ends a command that goes on until it is interrupted. That it was ended is no failure; that it failed before is one.
moment() {
    local status=0
    timeout --signal=INT --kill-after=3 "${LENGTH:-1}" "$@" || status=$?
    [[ $status == 0 || $status == 124 || $status == 137 ]]
}

# Says which line of the block failed, also where it failed inside one of these functions.
set -o errtrace
trap told ERR
told() {
    echo "this failed: $(sed -n "${BASH_LINENO[-1]}p" <<<"$BASH_EXECUTION_STRING")"
    [[ -z $STARTED ]] || tail -n 5 ./*.server.log
} >&2

# Servers go to the background, on addresses of the test's, and are ended with the block.
STARTED=
trap '[[ -z $STARTED ]] || kill -KILL $(jobs -p)' EXIT
weir-orchestrator() {
    STARTED=yes
    WEIR_LISTEN=$QUIC WEIR_HTTP=$HTTP WEIR_ADMIN=$ADMIN command weir-orchestrator "$@" 2>>orchestrator.server.log &
}
ready() { [[ -z $STARTED ]] || until command curl -sf -o ready.log "$WEIR_ADMIN_URL/readyz"; do sleep 0.1; done; }

weir-worker() {
    case $1 in
    serve) WEIR_LISTEN=127.0.0.1:0 WEIR_ADMIN=127.0.0.1:0 command weir-worker "$@" 2>>worker.server.log & ;;
    train | study | eval | profile) moment weir-worker "$@" ;;
    *) command weir-worker "$@" ;;
    esac
}

weir() {
    ready
    case "$*" in
    events*--follow*) moment weir "$@" ;;
    bench*) command weir "$@" --requests 20 --warm-up 0 ;;
    record*--seconds*) command weir "${@/%60/1}" ;;
    record*) command weir "$@" --seconds 1 ;;
    *) command weir "$@" ;;
    esac
}

# An error page is an error.
curl() { command curl --silent --show-error --fail "$@"; }

python3() {
    case $1 in
    *camera.py) LENGTH=3 moment "$WEIR_TEST_PYTHON" "$@" ;;
    *) "$WEIR_TEST_PYTHON" "$@" ;;
    esac
}

dashboards/watch.py() { LENGTH=3 moment dashboards/watch.py; }

# Called behind the block: what it started must serve; what it changed about the cluster of all blocks is undone.
finish() {
    ready
    if [[ -z $STARTED ]]; then
        { command weir pins set && command weir workers uncordon camera && command weir replanning resume; } >finish.log
    fi
}
