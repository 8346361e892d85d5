#!/usr/bin/env python3
"""Says what is on photographs, by NVIDIA's client of the Open Inference Protocol.

    pip install 'tritonclient[http]' pillow
    python3 examples/classify.py --url 127.0.0.1:8080 --model resnet20 photo.jpg another.png

Prints one line for each image: file, class, label, and the probability of it. Labels come from the server, if it has any,
or from --labels, a file with one label a line.
"""

import argparse
import sys

import numpy as np
import tritonclient.http as triton
from PIL import Image
from tritonclient.utils import InferenceServerException

# What Weir's networks are trained with (the statistics of ImageNet), for servers that do not say it.
MEAN, DEVIATION = "0.485,0.456,0.406", "0.229,0.224,0.225"


class Classifier:
    """One network of a server: from an image file to a label."""

    def __init__(self, url, model, labels=None):
        self.client = triton.InferenceServerClient(url, connection_timeout=10, network_timeout=30)
        self.model = model
        described = self.client.get_model_metadata(model)
        self.input, self.output = described["inputs"][0]["name"], described["outputs"][0]["name"]
        self.side = described["inputs"][0]["shape"][-1]
        told = described.get("parameters", {})
        numbers = lambda key, otherwise: np.array(told.get(key, otherwise).split(","), dtype=np.float32).reshape(3, 1, 1)
        self.mean, self.deviation = numbers("mean", MEAN), numbers("standard_deviation", DEVIATION)
        self.shorter_side = told.get("shorter_side") or self.side
        if labels:
            with open(labels, encoding="utf-8") as lines:
                self.labels = lines.read().splitlines()
        else:
            self.labels = told["labels"].split("\n") if "labels" in told else []

    def read(self, path):
        """The image as the network was trained on: the shorter side to size, the middle cut out, channels normalised."""
        image = Image.open(path).convert("RGB")
        scale = self.shorter_side / min(image.size)
        size = [max(self.side, round(length * scale)) for length in image.size]
        if tuple(size) != image.size:
            image = image.resize(size, Image.Resampling.BILINEAR)
        left, top = (size[0] - self.side) // 2, (size[1] - self.side) // 2
        image = image.crop((left, top, left + self.side, top + self.side))
        pixels = np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / 255
        return (pixels - self.mean) / self.deviation

    def classify(self, path, **more):
        """The most likely class, its label, and its probability."""
        pixels = self.read(path)[np.newaxis]
        tensor = triton.InferInput(self.input, list(pixels.shape), "FP32")
        tensor.set_data_from_numpy(np.ascontiguousarray(pixels))
        wish = triton.InferRequestedOutput(self.output)
        logits = self.client.infer(self.model, [tensor], outputs=[wish], **more).as_numpy(self.output)[0]
        likely = np.exp(logits - logits.max())
        best = int(likely.argmax())
        label = self.labels[best] if best < len(self.labels) else f"class {best}"
        return best, label, float(likely[best] / likely.sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default="127.0.0.1:8080", help="host:port of the inference API (default: %(default)s)")
    parser.add_argument("--model", required=True, help="the network that is served, such as resnet20")
    parser.add_argument("--labels", help="file with one label a line, in the order of the classes")
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    arguments = parser.parse_args()
    try:
        classifier = Classifier(arguments.url, arguments.model, arguments.labels)
        for path in arguments.images:
            best, label, probability = classifier.classify(path)
            print(f"{path}\t{best}\t{label}\t{probability:.3f}", flush=True)
    except (InferenceServerException, OSError) as error:
        sys.exit(f"classify.py: {error}")


if __name__ == "__main__":
    main()
