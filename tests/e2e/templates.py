"""The CloudFormation templates of schedules/ as documents, with their parameters filled in."""
import os

import yaml

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__)))), "schedules")
BUCKET = "acme-observability"
ACCOUNT = "111122223333"
PARAMETERS = {"CentralRoleArn": "arn:aws:iam::444455556666:role/muster", "ExternalIdPrefix": "muster",
              "RoleName": "muster-reader", "AWS::AccountId": ACCOUNT, "AWS::Partition": "aws", "Bucket": BUCKET,
              "TenantRoleName": "muster-reader", "ListingRoleArn": "arn:aws:iam::777788889999:role/lister", "WorkspaceArn": "arn:aws:aps:eu-west-1:444455556666:workspace/ws-1"}


def template(name, **parameters):
    """All of it; short forms whose value is not known here stay as their name."""
    known = {**PARAMETERS, **parameters}

    class Loader(yaml.SafeLoader):
        pass

    def substitute(_loader, node):
        text = node.value.replace("${Bucket.Arn}", f"arn:aws:s3:::{BUCKET}")
        for word, value in known.items():
            text = text.replace("${" + word + "}", value)
        return text

    for short in ("!Equals", "!If", "!Not"):
        Loader.add_constructor(short, lambda loader, node: loader.construct_sequence(node))
    Loader.add_constructor("!Ref", lambda _loader, node: known.get(node.value, node.value))
    Loader.add_constructor("!GetAtt", lambda _loader, node: {"Bucket.Arn": f"arn:aws:s3:::{BUCKET}"}.get(node.value, node.value))
    Loader.add_constructor("!Sub", substitute)
    with open(os.path.join(FOLDER, name), encoding="utf-8") as file:
        return yaml.load(file, Loader)


def resources(name, **parameters):
    return template(name, **parameters)["Resources"]


def policy(resource):
    """Of a role its own policy; of a policy that a condition attaches, that."""
    properties = resource["Properties"]
    return properties["PolicyDocument"] if "PolicyDocument" in properties else properties["Policies"][0]["PolicyDocument"]


def trust(role):
    return role["Properties"]["AssumeRolePolicyDocument"]
