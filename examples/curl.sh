#!/bin/sh
# Asks a cluster with curl alone: is it ready, what does it serve, and which three classes fit an image best?
#
#   examples/curl.sh http://127.0.0.1:8080 resnet20
#
# The image is one colour, written as JSON; a photograph would be normalised first, as examples/classify.py does.
set -eu
url=${1:-http://127.0.0.1:8080}
model=${2:-resnet20}

ask() { curl --silent --show-error --fail-with-body --max-time 30 "$@" && echo; }

ask "$url/v2/health/ready"
described=$(ask "$url/v2/models/$model")
printf '%s\n' "$described"    # not echo: it would make lines of the \n between the names of classes

# The width of an image is the last number of the input's shape.
side=$(printf '%s\n' "$described" | sed 's/.*"shape":\[-1,3,[0-9]*,\([0-9]*\)\].*/\1/')
pixels=$(awk -v count="$((3 * side * side))" 'BEGIN { for (i = 0; i < count; i++) printf "%s0.5", i ? "," : "" }')

# A trace context, if something upstream has one, goes with the request to every worker.
ask --header "Content-Type: application/json" --header "traceparent: ${TRACEPARENT:-}" --data-binary @- \
    "$url/v2/models/$model/infer" <<JSON
{
  "id": "curl-1",
  "inputs": [{ "name": "input", "datatype": "FP32", "shape": [1, 3, $side, $side], "data": [$pixels] }],
  "outputs": [{ "name": "logits", "parameters": { "classification": 3, "binary_data": false } }]
}
JSON
