"""The dashboards as Grafana's makers read them: by the models of their own library, which drop what they do not know. So
whatever is misspelt, of a wrong type or in a wrong place does not come out again.
"""
import json
import unittest

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

import board

plugins.register_default_plugins()


def leaves(value, path=""):
    """{path: value} of all that is no list and no object."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if children is None:
        return {path: value}
    return {where: leaf for key, child in children for where, leaf in leaves(child, f"{path}/{key}").items()}


def dropped(doc):
    """What does not come through."""
    back = leaves(json.loads(JSONEncoder().encode(Dashboard.from_json(doc))))
    return [path for path, value in leaves(doc).items() if path not in back or back[path] != value]


class Grafana(unittest.TestCase):
    def test_every_member_is_known(self):
        for name, doc in board.dashboards().items():
            with self.subTest(name):
                self.assertGreater(len(leaves(doc)), 300)
                self.assertEqual(dropped(doc), [])

    def test_a_misspelt_member_is_seen(self):
        for change in (lambda panel: panel.update(titel="x"), lambda panel: panel["targets"][0].update(legend="x"),
                       lambda panel: panel["options"].update(colourMode="x"),
                       lambda panel: panel["fieldConfig"]["defaults"].update(units="s")):
            doc = board.dashboards()["fleet.json"]
            change(doc["panels"][0])
            self.assertEqual(len(dropped(doc)), 1)


if __name__ == "__main__":
    unittest.main()
