"""An independent look at an account, for tests: boto3, so that our own listing is not its own judge.

    boto3_judge.py instances REGION...       what is not terminated: id, region, zone, type, state, tags
    boto3_judge.py run REGION [KEY=VALUE...] starts one `t3.micro` by hand, with these tags; its id
    boto3_judge.py terminate REGION ID...    terminates by hand
    boto3_judge.py templates REGION...       names of launch templates
    boto3_judge.py fleets REGION...          fleets and spot fleet requests that are not over
    boto3_judge.py groups REGION...          names of Auto Scaling groups
    boto3_judge.py account NUMBER            credentials in another account of the same moto: an empty one

Prints one JSON value. The endpoint is `AWS_ENDPOINT_URL`, credentials are the usual variables.
"""

import json
import sys

import boto3


def client(service, region):
    return boto3.client(service, region_name=region)


def pages(service, region, operation, key, **arguments):
    paginator = client(service, region).get_paginator(operation)
    for page in paginator.paginate(**arguments):
        yield from page[key]


def instances(*regions):
    alive = ["pending", "running", "shutting-down", "stopping", "stopped"]
    states = [{"Name": "instance-state-name", "Values": alive}]
    return [
        {
            "id": instance["InstanceId"],
            "region": region,
            "zone": instance["Placement"]["AvailabilityZone"],
            "type": instance["InstanceType"],
            "state": instance["State"]["Name"],
            "tags": {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])},
        }
        for region in regions
        for reservation in pages("ec2", region, "describe_instances", "Reservations", Filters=states)
        for instance in reservation["Instances"]
    ]


def run(region, *tags):
    ec2 = client("ec2", region)
    amazon = ec2.describe_images(Owners=["amazon"])["Images"]
    image = next(image for image in amazon if image["Architecture"] == "x86_64")
    tags = [dict(zip(["Key", "Value"], tag.split("=", 1))) for tag in tags]
    answer = ec2.run_instances(
        ImageId=image["ImageId"],
        InstanceType="t3.micro",
        MinCount=1,
        MaxCount=1,
        TagSpecifications=[{"ResourceType": "instance", "Tags": tags}] if tags else [],
    )
    return answer["Instances"][0]["InstanceId"]


def terminate(region, *ids):
    answer = client("ec2", region).terminate_instances(InstanceIds=list(ids))
    return [change["InstanceId"] for change in answer["TerminatingInstances"]]


def templates(*regions):
    return [
        template["LaunchTemplateName"]
        for region in regions
        for template in pages("ec2", region, "describe_launch_templates", "LaunchTemplates")
    ]


def fleets(*regions):
    # What is being deleted together with its machines is over.
    over = ["deleted", "deleted_terminating", "cancelled", "cancelled_terminating"]
    found = []
    for region in regions:
        for fleet in pages("ec2", region, "describe_fleets", "Fleets"):
            # Instant fleets are only the record of a call.
            if fleet["FleetState"] not in over and fleet["Type"] != "instant":
                found.append(fleet["FleetId"])
        requests = pages(
            "ec2", region, "describe_spot_fleet_requests", "SpotFleetRequestConfigs"
        )
        for request in requests:
            if request["SpotFleetRequestState"] not in over:
                found.append(request["SpotFleetRequestId"])
    return found


def groups(*regions):
    return [
        group["AutoScalingGroupName"]
        for region in regions
        for group in pages(
            "autoscaling", region, "describe_auto_scaling_groups", "AutoScalingGroups"
        )
    ]


def account(number):
    # moto keeps one state per account, and a role's account is the one in its name.
    answer = client("sts", "us-east-1").assume_role(
        RoleArn=f"arn:aws:iam::{number}:role/tests", RoleSessionName="tests"
    )
    names = {
        "AWS_ACCESS_KEY_ID": "AccessKeyId",
        "AWS_SECRET_ACCESS_KEY": "SecretAccessKey",
        "AWS_SESSION_TOKEN": "SessionToken",
    }
    return {variable: answer["Credentials"][name] for variable, name in names.items()}


COMMANDS = [instances, run, terminate, templates, fleets, groups, account]

if __name__ == "__main__":
    command = {function.__name__: function for function in COMMANDS}[sys.argv[1]]
    print(json.dumps(command(*sys.argv[2:])))
