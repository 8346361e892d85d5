"""Drives a server of the Open Inference Protocol with NVIDIA's own client, tritonclient[http].

    check_tritonclient.py --url 127.0.0.1:8000 --model resnet20 [--images FILE --logits FILE] [--tolerance T]

FILE holds little-endian FP32 numbers without a header: the images of one batch, and the logits that are due for
them. Without those two, images are drawn at random and what is compared is one form of request with the other.
Prints one line per check; the exit status is 1 at the first thing that is not as it should be.
"""

import argparse

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", required=True, help="host:port")
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", help="little-endian FP32, NCHW")
    parser.add_argument("--logits", help="little-endian FP32, one row per image")
    parser.add_argument("--tolerance", type=float, default=0.0, help="largest absolute difference (default: none)")
    parser.add_argument("--top-classes", type=int, default=3)
    return parser.parse_args()


class Check:
    def __init__(self, arguments):
        self.client = triton.InferenceServerClient(arguments.url)
        self.model = arguments.model
        self.tolerance = arguments.tolerance
        self.top_classes = arguments.top_classes
        metadata = self.client.get_model_metadata(self.model)
        (self.input,) = metadata["inputs"]
        (self.output,) = metadata["outputs"]
        self.version = metadata["versions"][0]
        self.image_shape = self.input["shape"][1:]
        self.classes = self.output["shape"][1]
        self.images = self.read_images(arguments.images)
        self.logits = None
        if arguments.logits:
            self.logits = np.fromfile(arguments.logits, dtype="<f4").reshape(-1, self.classes)

    def read_images(self, path):
        if path:
            return np.fromfile(path, dtype="<f4").reshape(-1, *self.image_shape)
        return np.random.default_rng(7).standard_normal((2, *self.image_shape)).astype(np.float32)

    def tensor(self, images, name=None, datatype="FP32", binary=True):
        tensor = triton.InferInput(name or self.input["name"], list(images.shape), datatype)
        tensor.set_data_from_numpy(images, binary_data=binary)
        return tensor

    def wish(self, binary=True, **more):
        return [triton.InferRequestedOutput(self.output["name"], binary_data=binary, **more)]

    def infer(self, tensor, **more):
        return self.client.infer(self.model, [tensor], **more)

    def same(self, found, expected, what):
        assert found.shape == expected.shape, f"{what}: {found.shape}, not {expected.shape}"
        worst = float(np.max(np.abs(found - expected)))
        assert worst <= self.tolerance, f"{what}: differs by {worst}, allowed is {self.tolerance}"

    # The checks, in the order in which they run.

    def check_health_and_metadata(self):
        client, model, version = self.client, self.model, self.version
        assert client.is_server_live() and client.is_server_ready()
        assert client.is_model_ready(model) and client.is_model_ready(model, version)
        assert not client.is_model_ready("no-such-model")
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        assert client.get_model_metadata(model, version)["name"] == model
        assert self.input["datatype"] == self.output["datatype"] == "FP32"
        config = client.get_model_config(model)
        assert config["max_batch_size"] >= len(self.images)
        assert config["input"][0]["dims"] == self.image_shape
        index = client.get_model_repository_index()
        assert [(entry["name"], entry["state"]) for entry in index] == [(model, "READY")]

    def check_infer_binary(self):
        result = self.infer(self.tensor(self.images), request_id="binary")
        assert result.get_response()["id"] == "binary"
        assert result.get_response()["parameters"]["weir_attempts"] >= 1
        logits = result.as_numpy(self.output["name"])
        if self.logits is None:
            self.logits = logits
        self.same(logits, self.logits, "binary in and out")

    def check_infer_other_forms(self):
        name = self.output["name"]
        for binary_in in (True, False):
            for binary_out in (True, False):
                tensor = self.tensor(self.images, binary=binary_in)
                result = self.infer(tensor, outputs=self.wish(binary_out), model_version=self.version)
                self.same(result.as_numpy(name), self.logits, f"binary in {binary_in}, out {binary_out}")
                has_size = "binary_data_size" in result.get_output(name).get("parameters", {})
                assert has_size == binary_out

    def check_infer_one_image_with_timeout(self):
        result = self.infer(self.tensor(self.images[:1]), timeout=30_000_000)
        assert result.as_numpy(self.output["name"]).shape == (1, self.classes)

    def check_infer_asynchronously(self):
        pending = [self.client.async_infer(self.model, [self.tensor(self.images)]) for _ in range(4)]
        for request in pending:
            self.same(request.get_result().as_numpy(self.output["name"]), self.logits, "async")

    def check_classification(self):
        due = np.argsort(-self.logits, axis=1, kind="stable")[:, : self.top_classes]
        for binary in (True, False):
            outputs = self.wish(binary, class_count=self.top_classes)
            found = self.infer(self.tensor(self.images), outputs=outputs).as_numpy(self.output["name"])
            text = [[c.decode() if isinstance(c, bytes) else c for c in row] for row in found]
            assert np.array_equal([[int(c.split(":")[1]) for c in row] for row in text], due), text
            values = np.array([[float(c.split(":")[0]) for c in row] for row in text])
            assert np.allclose(values, np.take_along_axis(self.logits, due, axis=1), atol=1e-4)

    def check_errors(self):
        images, refused = self.images, self.refused
        refused("404", "unknown model", lambda: self.client.get_model_metadata("no-such-model"))
        refused("404", "unknown model", lambda: self.client.infer("no-such-model", [self.tensor(images)]))
        refused("404", "unknown version", lambda: self.infer(self.tensor(images), model_version="99"))
        refused("400", "inputs[0].name", lambda: self.infer(self.tensor(images, name="wrong")))
        refused("400", "inputs[0].shape", lambda: self.infer(self.tensor(images[:, :, :-1])))
        doubles = self.tensor(images.astype(np.float64), datatype="FP64")
        refused("400", "inputs[0].datatype", lambda: self.infer(doubles))
        limit = self.client.get_model_config(self.model)["max_batch_size"]
        many = np.repeat(images[:1], limit + 1, axis=0)
        # Depending on the image size, the body is refused by its length or by its shape.
        refused(("400", "413"), f"{limit}", lambda: self.infer(self.tensor(many)))
        zipped = lambda: self.infer(self.tensor(images), request_compression_algorithm="gzip")
        refused("415", "uncompressed", zipped)
        refused("400", "not supported", lambda: self.client.unload_model(self.model))

    def refused(self, status, text, call):
        try:
            call()
        except InferenceServerException as error:
            assert error.status() in status, error
            assert text in error.message(), error
        else:
            raise AssertionError(f"nothing was refused; due was {status} with {text!r}")

    def check_statistics(self):
        def read():
            (found,) = self.client.get_inference_statistics(self.model, self.version)["model_stats"]
            return found

        before = read()
        self.infer(self.tensor(self.images))
        after = read()
        assert after["version"] == self.version
        assert after["inference_count"] >= before["inference_count"] + len(self.images)
        assert after["execution_count"] >= before["execution_count"] + 1
        for part in ("success", "queue", "compute_infer"):
            assert after["inference_stats"][part]["count"] > before["inference_stats"][part]["count"], part


def main():
    check = Check(parse_arguments())
    # In the order of the class: methods of a class keep it.
    for name in [name for name in vars(Check) if name.startswith("check_")]:
        getattr(check, name)()
        print(f"{name.removeprefix('check_').replace('_', ' ')}: as it should be", flush=True)


if __name__ == "__main__":
    main()
