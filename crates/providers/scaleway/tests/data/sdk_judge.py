"""An independent look, for tests: the vendor's own Python package, on whatever answers at API.

    sdk_judge.py API KEY PROJECT look ZONE    what there is in a zone, as the package understands it
    sdk_judge.py API KEY PROJECT walk ZONE    makes a machine by hand, powers it on, takes it away

Prints one JSON value. Whatever the package cannot decode ends it.
"""

import json
import sys
import time

from scaleway import Client
from scaleway.block.v1 import BlockV1API
from scaleway.domain.v2beta1 import DomainV2Beta1API
from scaleway.instance.v1.custom_api import InstanceUtilsV1API
from scaleway.instance.v1.types import ServerAction
from scaleway.lb.v1 import LbV1ZonedAPI
from scaleway.marketplace.v2 import MarketplaceV2API

address, key, project, what, zone = sys.argv[1:]
client = Client(
    api_url=address,
    # Only its form is looked at.
    access_key="SCWXXXXXXXXXXXXXXXXX",
    secret_key=key,
    default_project_id=project,
    default_zone=zone,
    default_region=zone.rsplit("-", 1)[0],
)
instances = InstanceUtilsV1API(client)


def server(one):
    return {
        "id": one.id,
        "name": one.name,
        "type": one.commercial_type,
        "state": str(one.state),
        "tags": one.tags,
        "project": one.project,
        "zone": one.zone,
        "volumes": sorted(str(volume.volume_type) for volume in one.volumes.values()),
        "addresses": [ip.address for ip in one.public_ips],
        "dynamic": [ip.dynamic for ip in one.public_ips],
        "networks": [nic.private_network_id for nic in one.private_nics],
        "security_group": one.security_group.id,
        "placement_group": one.placement_group.id if one.placement_group else None,
    }


def by_name(call):
    """Every page of a listing by name, for which the package has no function."""
    found, page = {}, 1
    while True:
        answer = call(zone=zone, page=page)
        found.update(answer.servers)
        if not answer.servers or len(found) >= int(answer.total_count):
            return found
        page += 1


def look():
    servers = [server(one) for one in instances.list_servers_all(zone=zone)]
    for one in servers:
        keys = instances.list_server_user_data(server_id=one["id"], zone=zone).user_data
        one["user_data"] = {
            name: instances.get_server_user_data(server_id=one["id"], key=name, zone=zone).text
            for name in keys
        }
    types = by_name(instances.list_servers_types)
    stock = by_name(instances.get_server_types_availability)
    balancers = []
    lb = LbV1ZonedAPI(client)
    for one in lb.list_lbs_all(zone=zone):
        for backend in lb.list_backends_all(zone=zone, lb_id=one.id):
            stats = lb.list_backend_stats_all(zone=zone, lb_id=one.id)
            balancers.append({
                "name": f"{one.name}/{backend.name}",
                "address": one.ip[0].ip_address,
                "pool": backend.pool,
                "stats": sorted({str(stat.last_health_check_status) for stat in stats}),
            })
    domain = DomainV2Beta1API(client)
    zones = {
        one.domain: sorted(
            [record.name, str(record.type_), record.data, record.ttl]
            for record in domain.list_dns_zone_records_all(dns_zone=one.domain, name="")
        )
        for one in domain.list_dns_zones_all(domain="")
    }
    return {
        "servers": servers,
        "volumes": [volume.id for volume in instances.list_volumes_all(zone=zone)],
        "block": [
            [str(volume.status), volume.tags]
            for volume in BlockV1API(client).list_volumes_all(zone=zone, include_deleted=False)
        ],
        "ips": [[ip.address, ip.server.id if ip.server else None] for ip in instances.list_ips_all(zone=zone)],
        "types": {
            name: [one.ncpus, one.ram, one.gpu, one.gpu_info.gpu_name if one.gpu_info else None,
                   one.hourly_price, str(one.arch), str(stock[name].availability)]
            for name, one in types.items()
        },
        "balancers": balancers,
        "zones": zones,
    }


def walk():
    images = MarketplaceV2API(client).list_local_images_all(image_label="ubuntu_noble", zone=zone)
    image = next(one for one in images if "DEV1-S" in one.compatible_commercial_types)
    made = instances.create_server(
        zone=zone, commercial_type="DEV1-S", name="by-hand", image=image.id,
        project=project, tags=["foo", "bar"],
    ).server
    instances.set_server_user_data(made.id, "cloud-init", b"#!/bin/sh\n", zone=zone)
    ip = instances.create_ip(zone=zone, project=project, server=made.id, tags=["foo"]).ip
    states = [str(made.state)]
    task = instances.server_action(server_id=made.id, zone=zone, action=ServerAction.POWERON).task
    until(states, made.id, "running")
    found = [one.id for one in instances.list_servers_all(zone=zone, tags=["foo", "bar"])]
    running = server(instances.get_server(server_id=made.id, zone=zone).server)
    instances.server_action(server_id=made.id, zone=zone, action=ServerAction.TERMINATE)
    until(states, made.id, None)
    instances.delete_ip(ip=ip.id, zone=zone)
    return {
        "id": made.id, "states": states, "task": str(task.status), "found": found,
        "running": running, "address": ip.address,
        "left": len(instances.list_volumes_all(zone=zone)) + len(instances.list_ips_all(zone=zone)),
    }


def until(states, id, wanted):
    for _ in range(500):
        try:
            state = str(instances.get_server(server_id=id, zone=zone).server.state)
        except Exception as error:  # the package has no type for "not found"
            if "not_found" not in str(error) or wanted is not None:
                raise
            states.append("gone")
            return
        if state != states[-1]:
            states.append(state)
        if state == wanted:
            return
        time.sleep(0.01)
    raise TimeoutError(f"{id} is {states[-1]} instead of {wanted}")


print(json.dumps({"look": look, "walk": walk}[what]()))
