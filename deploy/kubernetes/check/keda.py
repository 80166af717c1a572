"""Prints a TypeScript program that checks the KEDA objects of YAML files: the compiler refuses unknown fields, a run wrong values."""

import json
import sys

import yaml

KINDS = ("ScaledObject", "TriggerAuthentication")


def objects(paths):
    for path in paths:
        with open(path, encoding="utf-8") as file:
            for document in yaml.safe_load_all(file):
                if document and document["kind"] in KINDS:
                    yield path, document


found = list(objects(sys.argv[1:]))
if not found:
    sys.exit("no object of KEDA in " + ", ".join(sys.argv[1:]))
for kind in KINDS:
    print(f'import {{ {kind}, type I{kind} }} from "@kubernetes-models/keda/keda.sh/v1alpha1/{kind}";')
for number, (path, document) in enumerate(found):
    kind = document["kind"]
    print(f"// {path}: {document['metadata']['name']}")
    print(f"const object{number}: I{kind} = {json.dumps(document)};")
    print(f"new {kind}(object{number}).validate();")
