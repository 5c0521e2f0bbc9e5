"""AWS on loopback: moto's server on a free port, with the few calls that Terraform makes and moto does not know.

Run it and it prints its address and serves until it is stopped.
"""

import json
import os
import signal
import sys

os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")

import moto.ssm.models as models
from moto.core.responses import ActionResult, EmptyResult
from moto.server import ThreadedMotoServer
from moto.ssm.responses import SimpleSystemManagerResponse as Ssm

ASSOCIATIONS = {}


def matches(id_of):
    """moto answers any filter with nothing; Terraform filters by id."""

    def match(filters, entry):
        return all(id_of(entry) in wanted["Values"] for wanted in filters or [])

    return match


def get_maintenance_window_task(self):
    window = self.ssm_backend.get_maintenance_window(self._get_param("WindowId"))
    task = window.tasks[self._get_param("WindowTaskId")]
    return ActionResult({**task.to_json(), "CutoffBehavior": task.cutoff_behavior})


def register_task_with_maintenance_window(self, others=Ssm.register_task_with_maintenance_window):
    window = self.ssm_backend.get_maintenance_window(self._get_param("WindowId"))
    answer = others(self)
    list(window.tasks.values())[-1].cutoff_behavior = self._get_param("CutoffBehavior")
    return answer


def create_association(self):
    number = f"00000000-0000-4000-8000-{len(ASSOCIATIONS):012d}"
    asked = {key: value for key, value in json.loads(self.body).items() if key != "Tags"}
    ASSOCIATIONS[number] = {**asked, "AssociationId": number, "DocumentVersion": "$DEFAULT", "AssociationVersion": "1", "Overview": {"Status": "Success"}}
    return ActionResult({"AssociationDescription": ASSOCIATIONS[number]})


def describe_association(self):
    return ActionResult({"AssociationDescription": ASSOCIATIONS[self._get_param("AssociationId")]})


def delete_association(self):
    del ASSOCIATIONS[self._get_param("AssociationId")]
    return EmptyResult()


def list_tags_for_resource(self, others=Ssm.list_tags_for_resource):
    return ActionResult({"TagList": []}) if self._get_param("ResourceType") == "Association" else others(self)


def repaired():
    models._maintenance_window_target_filter_match = matches(lambda target: target.window_target_id)
    models._maintenance_window_task_filter_match = matches(lambda task: task.window_task_id)
    for call in (get_maintenance_window_task, register_task_with_maintenance_window, create_association, describe_association, delete_association, list_tags_for_resource):
        setattr(Ssm, call.__name__, call)


if __name__ == "__main__":
    repaired()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print("http://%s:%s" % server.get_host_and_port(), flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    sys.exit()
