"""Writes openapi.json: field names and types of the part of Scaleway's API that is used here.

    python generate.py RECORDED > openapi.json

Scaleway publishes no OpenAPI description that could be had. So the table is put together from two
sources, and holds nothing but their facts (names, types, words of enumerations):

- the types of the official Python package `scaleway`, which is generated from the vendor's own
  descriptions, as installed beside this program: VERSION below;
- recorded real sessions of the official Go package (folder RECORDED, cassettes in YAML): fields that
  the package does not name, and fields that are null although it says otherwise.

What no source names is an error in a request or a reply: the judge closes every object.
"""

import dataclasses
import glob
import importlib
import importlib.metadata
import json
import os
import re
import sys
import typing
from datetime import datetime
from enum import Enum

import yaml

VERSION = "2.12.0"

UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
I = "/instance/v1/zones/{zone}"

# method, path, module, query (of a request type, without what is in the path), body, status, reply
OPERATIONS = [
    ("get", f"{I}/servers", "instance.v1", "ListServersRequest", None, 200, "ListServersResponse"),
    ("post", f"{I}/servers", "instance.v1", None, "CreateServerRequest", 201, "CreateServerResponse"),
    ("get", f"{I}/servers/{{server_id}}", "instance.v1", None, None, 200, "GetServerResponse"),
    ("delete", f"{I}/servers/{{server_id}}", "instance.v1", None, None, 204, None),
    ("post", f"{I}/servers/{{server_id}}/action", "instance.v1", None, "ServerActionRequest", 202, "ServerActionResponse"),
    ("get", f"{I}/servers/{{server_id}}/user_data", "instance.v1", None, None, 200, "ListServerUserDataResponse"),
    ("patch", f"{I}/servers/{{server_id}}/user_data/{{key}}", "instance.v1", None, "text/plain", 204, None),
    ("get", f"{I}/servers/{{server_id}}/user_data/{{key}}", "instance.v1", None, None, 200, "text/plain"),
    ("post", f"{I}/servers/{{server_id}}/private_nics", "instance.v1", None, "CreatePrivateNICRequest", 201, "CreatePrivateNICResponse"),
    ("post", f"{I}/servers/{{server_id}}/detach-volume", "instance.v1", None, "DetachServerVolumeRequest", 200, "DetachServerVolumeResponse"),
    ("get", f"{I}/ips", "instance.v1", "ListIpsRequest", None, 200, "ListIpsResponse"),
    ("post", f"{I}/ips", "instance.v1", None, "CreateIpRequest", 201, "CreateIpResponse"),
    ("delete", f"{I}/ips/{{ip}}", "instance.v1", None, None, 204, None),
    ("get", f"{I}/volumes", "instance.v1", "ListVolumesRequest", None, 200, "ListVolumesResponse"),
    ("get", f"{I}/volumes/{{volume_id}}", "instance.v1", None, None, 200, "GetVolumeResponse"),
    ("patch", f"{I}/volumes/{{volume_id}}", "instance.v1", None, "UpdateVolumeRequest", 200, "UpdateVolumeResponse"),
    ("delete", f"{I}/volumes/{{volume_id}}", "instance.v1", None, None, 204, None),
    ("get", f"{I}/products/servers", "instance.v1", "ListServersTypesRequest", None, 200, "ListServersTypesResponse"),
    ("get", f"{I}/products/servers/availability", "instance.v1", "GetServerTypesAvailabilityRequest", None, 200, "GetServerTypesAvailabilityResponse"),
    ("get", "/block/v1/zones/{zone}/volumes", "block.v1", "ListVolumesRequest", None, 200, "ListVolumesResponse"),
    ("get", "/block/v1/zones/{zone}/volumes/{volume_id}", "block.v1", None, None, 200, "Volume"),
    ("patch", "/block/v1/zones/{zone}/volumes/{volume_id}", "block.v1", None, "UpdateVolumeRequest", 200, "Volume"),
    ("delete", "/block/v1/zones/{zone}/volumes/{volume_id}", "block.v1", None, None, 204, None),
    ("get", "/marketplace/v2/local-images", "marketplace.v2", "ListLocalImagesRequest", None, 200, "ListLocalImagesResponse"),
    ("get", "/lb/v1/zones/{zone}/lbs", "lb.v1", "ZonedApiListLbsRequest", None, 200, "ListLbsResponse"),
    ("get", "/lb/v1/zones/{zone}/lbs/{lb_id}/backends", "lb.v1", "ZonedApiListBackendsRequest", None, 200, "ListBackendsResponse"),
    ("get", "/lb/v1/zones/{zone}/lbs/{lb_id}/backend-stats", "lb.v1", "ZonedApiListBackendStatsRequest", None, 200, "ListBackendStatsResponse"),
    ("post", "/lb/v1/zones/{zone}/backends/{backend_id}/servers", "lb.v1", None, "ZonedApiAddBackendServersRequest", 200, "Backend"),
    ("delete", "/lb/v1/zones/{zone}/backends/{backend_id}/servers", "lb.v1", None, "ZonedApiRemoveBackendServersRequest", 200, "Backend"),
    ("get", "/domain/v2beta1/dns-zones", "domain.v2beta1", "ListDNSZonesRequest", None, 200, "ListDNSZonesResponse"),
    ("get", "/domain/v2beta1/dns-zones/{dns_zone}/records", "domain.v2beta1", "ListDNSZoneRecordsRequest", None, 200, "ListDNSZoneRecordsResponse"),
    ("patch", "/domain/v2beta1/dns-zones/{dns_zone}/records", "domain.v2beta1", None, "UpdateDNSZoneRecordsRequest", 200, "UpdateDNSZoneRecordsResponse"),
]

# What the package spells otherwise than the wire: its names of states have underscores, and kinds of
# records are capitals in the vendor's documentation and other packages, small in this one.
ALSO = {"stopped_in_place": "stopped in place"}

# The fields of errors, by the official packages for Go and JavaScript.
ERROR = {
    "type": "object",
    "properties": {
        **{name: {"type": "string"} for name in (
            "type", "message", "help_message", "resource", "resource_id", "current_state",
            "precondition", "reason", "method", "expired_since", "reset_at",
        )},
        "reset_seconds": {"type": "integer"},
        "limit": {"type": "object", "properties": {"quota": {"type": "integer"}, "window_seconds": {"type": "integer"}}},
        "fields": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "details": {"type": "array", "items": {"type": "object", "properties": {
            **{name: {"type": "string"} for name in (
                "argument_name", "reason", "help_message", "resource", "action", "project_id", "organization_id",
            )},
            "quota": {"type": "integer"}, "current": {"type": "integer"},
        }}},
    },
}

schemas = {"error": ERROR}


def module(name):
    return importlib.import_module(f"scaleway.{name}.types")


def wire_name(field):
    """`type_` and `set_` avoid words of Python."""
    return field[:-1] if field.endswith("_") else field


def reference(kind):
    """The schema of a type; dataclasses go to `components`, by module and name."""
    origin = typing.get_origin(kind)
    if origin is typing.Union:
        inner = [part for part in typing.get_args(kind) if part is not type(None)]
        return nullable(reference(inner[0]))
    if origin is list:
        return {"type": "array", "items": reference(typing.get_args(kind)[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": reference(typing.get_args(kind)[1])}
    if isinstance(kind, type) and issubclass(kind, Enum):
        words = [word.value for word in kind]
        words += [ALSO[word] for word in words if word in ALSO]
        if kind.__name__ == "RecordType":
            words += [word.upper() for word in words]
        return {"type": "string", "enum": words}
    if dataclasses.is_dataclass(kind):
        name = f"{kind.__module__.split('.', 1)[1].removesuffix('.types')}.{kind.__name__}"
        if name not in schemas:
            schemas[name] = {}
            schemas[name] = fields_of(kind)
        return {"$ref": f"#/components/schemas/{name}"}
    if kind is datetime:
        return {"type": "string", "format": "date-time"}
    return {str: {"type": "string"}, int: {"type": "integer"}, float: {"type": "number"}, bool: {"type": "boolean"}}.get(kind, {})


def nullable(schema):
    return {"anyOf": [schema, {"type": "null"}]}


def fields_of(kind):
    hints = typing.get_type_hints(kind)
    properties = {wire_name(f.name): reference(hints[f.name]) for f in dataclasses.fields(kind)}
    return {"type": "object", "properties": properties}


def request(kind, path):
    """A request without what stands in its path; what is required is what has no default."""
    in_path = set(re.findall(r"{(\w+)}", path))
    hints = typing.get_type_hints(kind)
    properties, required = {}, []
    for field in dataclasses.fields(kind):
        name = wire_name(field.name)
        if name in in_path:
            continue
        properties[name] = reference(hints[field.name])
        # `False` and empty lists are what the wire leaves out.
        if type(None) not in typing.get_args(hints[field.name]) and hints[field.name] is not bool:
            required.append(name)
    return properties, required


def operation(path, name, query, body, status, reply):
    types = module(name)
    parameters = [
        {"in": "path", "name": part, "required": True, "schema": {"type": "string"}}
        for part in re.findall(r"{(\w+)}", path)
    ]
    for parameter in parameters:
        if parameter["name"].endswith("_id") or parameter["name"] == "ip":
            parameter["schema"]["pattern"] = UUID
    out = {"parameters": parameters, "responses": {}}
    if query:
        properties, _ = request(getattr(types, query), path)
        # In a query, nothing is null.
        for key, schema in properties.items():
            plain = schema["anyOf"][0] if "anyOf" in schema else schema
            parameters.append({"in": "query", "name": key, "schema": plain})
    if body == "text/plain":
        out["requestBody"] = {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}
    elif body:
        properties, required = request(getattr(types, body), path)
        schema = {"type": "object", "properties": properties, "required": required}
        out["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if reply == "text/plain":
        content = {"text/plain": {"schema": {"type": "string"}}}
    elif reply:
        content = {"application/json": {"schema": reference(getattr(types, reply))}}
    else:
        content = {}
    out["responses"][str(status)] = {"description": reply or "done", **({"content": content} if content else {})}
    for class_ in ("4XX", "5XX"):
        content = {"application/json": {"schema": {"$ref": "#/components/schemas/error"}}}
        out["responses"][class_] = {"description": "refused", "content": content}
    return out


# === what was recorded besides ===


def target(schema):
    """The schema itself, past `null` and references."""
    while True:
        if "anyOf" in schema:
            schema = schema["anyOf"][0]
        elif "$ref" in schema:
            schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
        else:
            return schema


def shape(value):
    """The schema of a value that no type names."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {key: shape(inner) for key, inner in value.items()}}
    if isinstance(value, list):
        return {"type": "array", "items": shape(value[0]) if value else {}}
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string")):
        if isinstance(value, kind):
            return {"type": name}
    return {"type": "null"}


def learn(schema, value, place):
    """Widens a schema to a value that was really sent: further fields, and nulls."""
    inner = target(schema)
    if isinstance(value, list) and "items" in inner:
        for index, item in enumerate(value):
            if item is not None:
                learn(inner["items"], item, place)
    elif isinstance(value, dict) and "additionalProperties" in inner:
        for item in value.values():
            learn(inner["additionalProperties"], item, place)
    elif isinstance(value, dict) and "properties" in inner:
        for key, item in value.items():
            known = inner["properties"].get(key)
            if known is None:
                inner["properties"][key] = {**shape(item), "x-source": "recorded"}
            elif item is None and "anyOf" not in known and known.get("type") != "null":
                inner["properties"][key] = {**nullable(known), "x-source": "recorded"}
            elif item is not None and known.get("type") == "null":
                inner["properties"][key] = {**nullable(shape(item)), "x-source": "recorded"}
            elif item is not None:
                learn(known, item, f"{place}.{key}")
    elif "enum" in inner and value not in inner["enum"]:
        inner["enum"].append(value)
    elif inner.get("type") == "array" and not inner.get("items") and isinstance(value, list) and value:
        inner["items"] = shape(value[0])


def find(paths, method, path):
    for template, item in paths.items():
        pattern = re.sub(r"{\w+}", "[^/]+", template)
        if method in item and re.fullmatch(pattern, path):
            return item[method]
    return None


def recorded(folder, paths):
    count = 0
    for file in sorted(glob.glob(os.path.join(folder, "*.yaml"))):
        with open(file, encoding="utf-8") as text:
            documents = list(yaml.safe_load_all(text))
        for document in documents:
            for interaction in document["interactions"]:
                sent, got = interaction["request"], interaction["response"]
                path = re.sub(r"^https://[^/]+|\?.*$", "", sent["url"])
                found = find(paths, sent["method"].lower(), path)
                response = found and found["responses"].get(str(got["code"]))
                schema = response and response.get("content", {}).get("application/json", {}).get("schema")
                if schema and got.get("body"):
                    learn(schema, json.loads(got["body"]), path)
                    count += 1
    return count


def main():
    installed = importlib.metadata.version("scaleway")
    assert installed == VERSION, f"scaleway {installed} is installed, {VERSION} is wanted"
    paths = {}
    for method, path, name, query, body, status, reply in OPERATIONS:
        paths.setdefault(path, {})[method] = operation(path, name, query, body, status, reply)
    count = recorded(sys.argv[1], paths)
    info = {
        "title": "Scaleway, the part that is used here",
        "version": VERSION,
        "x-sources": [
            f"field names and types of the Python package scaleway {VERSION} (PyPI, Apache-2.0)",
            f"{count} recorded replies of github.com/scaleway/scaleway-sdk-go at 2c5cd81b (Apache-2.0)",
        ],
        "x-written-by": "generate.py; not by hand",
    }
    print('{\n"openapi": "3.1.0",')
    print(f'"info": {json.dumps(info, indent=1)},')
    print('"servers": [{"url": "https://api.scaleway.com"}],')
    print(f'"paths": {lines(paths)},')
    print(f'"components": {{"schemas": {lines(dict(sorted(schemas.items())))}}}\n}}')


def lines(table):
    """JSON with one line per entry: a change shows what changed."""
    entries = (f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in table.items())
    return "{\n" + ",\n".join(entries) + "\n}"


main()
