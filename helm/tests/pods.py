"""Starts the containers of rendered manifests as processes of this machine, as a kubelet would: the same arguments, variables and
files at the same places.

Where this user may make mount namespaces (root), each process runs as user 65532 in the image's own root file system, mounted
read-only. Elsewhere the programs run directly, and paths in their arguments are replaced.

Pods have addresses of their own on the loopback: "any address" in an argument becomes the pod's, and so does the pod's loopback;
names of Services lead to the orchestrator's pod.
"""

import atexit
import base64
import functools
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import zlib
from pathlib import Path

from support import ROOT, binary, find

USER = 65532
PROGRAMS = {"orchestrator": ["weir-orchestrator", "weir"], "worker": ["weir-worker"]}


# Root file systems of images are made once and used by all tests.
IMAGES = tempfile.TemporaryDirectory()
atexit.register(IMAGES.cleanup)


@functools.cache
def image(role):
    """The root file system of an image, as the Dockerfile makes it."""
    root = Path(IMAGES.name) / role
    Path(IMAGES.name).chmod(0o755)
    command = [ROOT / "scripts/image-root.sh", root, *map(binary, PROGRAMS[role])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    if role == "orchestrator":
        models = root / "usr/share/weir/models"
        models.mkdir(parents=True)
        for path in (ROOT / "models").glob("shapes-resnet20.*"):
            shutil.copy(path, models)
    return root


def can_contain():
    """Whether processes can have a root file system of their own here."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


def templates(objects):
    """Every workload as (name of a pod, node, pod template)."""
    for kind in ("StatefulSet", "DaemonSet"):
        for one in find(objects, kind):
            name, spec = one["metadata"]["name"], one["spec"]
            if kind == "StatefulSet":
                for ordinal in range(spec.get("replicas", 1)):
                    yield f"{name}-{ordinal}", f"node-{ordinal}", one
            else:
                terms = spec["template"]["spec"].get("affinity", {}).get("nodeAffinity", {})
                terms = terms.get("requiredDuringSchedulingIgnoredDuringExecution", {}).get("nodeSelectorTerms")
                nodes = [term["matchFields"][0]["values"][0] for term in terms] if terms else ["somewhere"]
                for node in nodes:
                    yield f"{name}-{zlib.crc32(node.encode()):x}", node, one


class Pod:
    """One container, ready to be started."""

    def __init__(self, name, node, workload, address):
        self.name, self.node, self.address = name, node, address
        self.workload = workload
        self.spec = workload["spec"]["template"]["spec"]
        self.container = self.spec["containers"][0]
        self.role = self.container["name"]
        self.environment = {one["name"]: self.variable(one) for one in self.container["env"]}

    def variable(self, one):
        if "value" in one:
            return one["value"]
        source = one["valueFrom"]
        fields = {"metadata.name": self.name, "status.podIP": self.address, "spec.nodeName": self.node}
        if "fieldRef" in source:
            return fields[source["fieldRef"]["fieldPath"]]
        assert source["resourceFieldRef"]["resource"] == "limits.memory", source
        number, unit = re.fullmatch(r"(\d+)(Mi|Gi)", self.container["resources"]["limits"]["memory"]).groups()
        return str(int(number) << {"Mi": 20, "Gi": 30}[unit])

    def arguments(self):
        """With $(VARIABLES) put in, as Kubernetes does."""
        put_in = lambda argument: re.sub(r"\$\((\w+)\)", lambda found: self.environment[found[1]], argument)
        return [put_in(argument) for argument in self.container["args"]]

    def accepted(self):
        """What the program says of its arguments: it parses them all, and shows its help at the end."""
        program = binary(PROGRAMS[self.role][0])
        return subprocess.run([program, *self.arguments(), "--help"], capture_output=True, text=True)


def write(path, content, mode):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    if os.geteuid() == 0:
        os.chown(path, 0, USER)


def of_secrets(volume, objects):
    """What a volume made of Secrets holds, by path; None for another volume."""
    secrets = {one["metadata"]["name"]: one["data"] for one in find(objects, "Secret")}
    if "secret" in volume:
        return {key: base64.b64decode(text) for key, text in secrets[volume["secret"]["secretName"]].items()}
    if "projected" in volume:
        held = [(secrets[one["secret"]["name"]], one["secret"]["items"]) for one in volume["projected"]["sources"]]
        return {item["path"]: base64.b64decode(data[item["key"]]) for data, items in held for item in items}
    return None


def publish(place, files):
    """Puts all files into a volume at once, as a kubelet does: paths are links into `..data`, a link that is replaced."""
    version, link = place / f"..{time.time_ns()}", place / "..data_tmp"
    for path, content in files.items():
        write(version / path, content, 0o440)
    old = (place / "..data").resolve() if (place / "..data").is_symlink() else None
    link.symlink_to(version.name)
    link.rename(place / "..data")
    for top in {path.split("/")[0] for path in files}:
        if not (place / top).is_symlink():
            (place / top).symlink_to(f"..data/{top}")
    if old:
        shutil.rmtree(old)


def lay_out(folder, pod, objects):
    """Makes each volume of the pod as a folder, and returns where each is mounted."""
    configs = {one["metadata"]["name"]: one["data"] for one in find(objects, "ConfigMap")}
    claims = [one["metadata"]["name"] for one in pod.workload["spec"].get("volumeClaimTemplates", [])]
    volumes = {one["name"]: one for one in pod.spec["volumes"]} | {name: {"name": name, "emptyDir": {}} for name in claims}
    for name, volume in volumes.items():
        place = folder / name
        place.mkdir(parents=True)
        held = of_secrets(volume, objects)
        if held is not None:
            publish(place, held)
        elif "configMap" in volume:
            for key, text in configs[volume["configMap"]["name"]].items():
                write(place / key, text.encode(), 0o444)
        elif "hostPath" in volume:
            place.rmdir()
            place.symlink_to(volume["hostPath"]["path"])
        elif "emptyDir" in volume:
            if os.geteuid() == 0:
                os.chown(place, 0, USER)
            place.chmod(0o770)
        else:
            raise AssertionError(f"the tests know no volume like {volume}")
    return {mount["mountPath"]: (folder / mount["name"], mount.get("readOnly", False)) for mount in pod.container["volumeMounts"]}


class Cluster:
    """The pods of rendered manifests, as processes. Use it as a context."""

    def __init__(self, objects, folder):
        self.objects, self.folder = objects, Path(folder)
        self.contained = can_contain()
        # A pod for each template; the orchestrator has the first address.
        found = sorted(templates(objects), key=lambda one: "orchestrator" not in one[0])
        # Addresses that no other test on this machine uses.
        third = os.getpid() % 200 + 20
        self.pods = [Pod(*one, address=f"127.77.{third}.{i + 1}") for i, one in enumerate(found)]
        self.processes = []

    def __enter__(self):
        self.folder.chmod(0o755)
        try:
            for pod in self.pods:
                self.processes.append(self.start(pod))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def start(self, pod):
        mounts = lay_out(self.folder / "volumes" / pod.name, pod, self.objects)
        arguments = [self.reachable(argument, pod) for argument in pod.arguments()]
        environment = {"PATH": os.environ["PATH"], **pod.environment}
        if self.contained:
            command = self.in_container(pod, mounts, arguments)
        else:
            places = {path: source for path, (source, _) in mounts.items()} | {"/usr/share/weir/models": ROOT / "models"}
            for path, source in places.items():
                arguments = [argument.replace(f"={path}", f"={source}") for argument in arguments]
                environment |= {
                    name: value.replace(path, str(source), 1) for name, value in environment.items() if value.startswith(f"{path}/")
                }
            command = [binary(PROGRAMS[pod.role][0]), *arguments]
        with (self.folder / f"{pod.name}.log").open("wb") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def renew(self, objects):
        """Brings what the Secrets of `objects` hold to the volumes of the pods that run, as a kubelet does after a while."""
        self.objects = objects
        for pod in self.pods:
            for volume in pod.spec["volumes"]:
                held = of_secrets(volume, objects)
                if held is not None:
                    publish(self.folder / "volumes" / pod.name / volume["name"], held)

    def reachable(self, argument, pod):
        """Addresses on the loopback in place of those of a cluster's network."""
        argument = re.sub(r"=(0\.0\.0\.0|127\.0\.0\.1):", f"={pod.address}:", argument)
        return re.sub(r"[\w-]+-peers\.[\w-]+\.svc:", f"{self.pods[0].address}:", argument)

    def in_container(self, pod, mounts, arguments):
        root = image(pod.role)
        lines = ["set -e", f"mount --bind {root} {root}", f"cd {root}"]
        for path in ["/proc", "/sys", *mounts]:
            (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for path in ("/proc", "/sys"):
            lines.append(f"mount --rbind {path} {root}{path}")
        for path, (source, read_only) in mounts.items():
            lines.append(f"mount --rbind {source.resolve()} {root}{path}")
            if read_only:
                lines.append(f"mount -o remount,ro,bind {root}{path}")
        if pod.container["securityContext"]["readOnlyRootFilesystem"]:
            lines.append(f"mount -o remount,ro,bind {root}")
        user = pod.spec["securityContext"]
        who = f"{user['runAsUser']}:{user['runAsGroup']}"
        program = shlex.join([f"/usr/bin/{PROGRAMS[pod.role][0]}", *arguments])
        lines.append(f"exec setpriv --no-new-privs chroot --userspec={who} {root} {program}")
        return ["unshare", "--mount", "sh", "-c", "\n".join(lines)]

    def stop(self):
        """SIGTERM to all, workers last; returns their exit statuses."""
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        return [process.wait(timeout=30) for process in self.processes]

    def logs(self):
        """What everybody said, for the message of a failed test."""
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in self.folder.glob("*.log"))
