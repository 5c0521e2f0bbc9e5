"""AWS on loopback: moto's server on two free ports, with the few calls that Terraform makes and moto lacks.

Run it with a folder; it prints its addresses, plain and with TLS, and serves until it is stopped. The certificate to trust is
ca.pem in the folder.
"""

import json
import os
import signal
import subprocess
import sys
from threading import Thread

os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")

import moto.ssm.models as models
from flask import request
from moto.core.responses import ActionResult, EmptyResult
from moto.iam.access_control import PermissionResult
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3.models import FakeBucket
from moto.ssm.responses import SimpleSystemManagerResponse as Ssm
from werkzeug.serving import make_server

ASSOCIATIONS = {}


def matches(id_of):
    """moto returns nothing for any filter, and Terraform filters by ID."""

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


def get_permission(self, action, resource, others=FakeBucket.get_permission):
    """moto ignores conditions. The only condition of the policies here denies requests without TLS."""
    return PermissionResult.NEUTRAL if request.is_secure else others(self, action, resource)


def repaired():
    FakeBucket.get_permission = get_permission
    models._maintenance_window_target_filter_match = matches(lambda target: target.window_target_id)
    models._maintenance_window_task_filter_match = matches(lambda task: task.window_task_id)
    for call in (get_maintenance_window_task, register_task_with_maintenance_window, create_association, describe_association, delete_association, list_tags_for_resource):
        setattr(Ssm, call.__name__, call)


if __name__ == "__main__":
    repaired()
    certificate, key = f"{sys.argv[1]}/ca.pem", f"{sys.argv[1]}/key.pem"
    subject = ["-subj", "/CN=stand-in", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-out", certificate, "-keyout", key, *subject], check=True, stderr=subprocess.DEVNULL)
    for scheme, tls in (("http", None), ("https", (certificate, key))):
        server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True, ssl_context=tls)
        Thread(target=server.serve_forever, daemon=True).start()
        print(f"{scheme}://127.0.0.1:{server.port}", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    sys.exit()
