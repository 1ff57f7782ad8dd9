"""A compiled graph walked by the rules of Kubeflow Pipelines' backend, its tasks called in this process.

The rules are those seen on Kubeflow Pipelines 2.17.0 with Argo 4.0.8, where they are not what one would think:

- a driver resolves the inputs of its task; one that cannot, fails without an execution, so that nothing is red;
- a task whose key (component, image, command, inputs) is in the cache is not run and ends CACHED, also in one run;
- a group of tasks is COMPLETE if its last task is; a CACHED one leaves it RUNNING for ever; what waits for it starts;
- `OneOf` takes the outputs of a branch that is COMPLETE, and of no other;
- a driver that is started twice for one task ends the run: `two tasks have the same task name`;
- metrics that are no finite number fail a task after its work; a fraction is taken for an int;
- an accelerator's count is a number in a string, from an input of the task itself.
"""

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Call = Callable[[str, str, dict[str, Any]], dict[str, Any]]  # task, component's function, inputs -> outputs
COMPLETE, CACHED, RUNNING, SKIPPED, FAILED = "COMPLETE CACHED RUNNING SKIPPED FAILED".split()
CHANNEL = re.compile(r"\{\{\$\.inputs\.parameters\['([^']+)'\]\}\}")


class DriverFailed(Exception):
    """Inputs of a task could not be resolved; Kubeflow's page shows no failed task."""


@dataclass
class Outcome:
    """What came of a run: states by task, what failed and why, outputs of the root."""

    states: dict[str, str] = field(default_factory=dict)
    gpus: dict[str, int] = field(default_factory=dict)
    failure: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def pods(self) -> int:
        """A driver and a launcher a task, and the root's driver."""
        return 1 + 2 * len(self.states)


@dataclass
class Backend:
    """A Kubeflow Pipelines server with its cache, which outlives runs."""

    compiled: Path
    call: Call
    cache: dict[str, dict[str, Any]] = field(default_factory=dict)
    restarted: str = ""  # the display name of a task whose driver is started twice

    def run(self, **arguments: Any) -> Outcome:
        self.spec = next(yaml.safe_load_all(self.compiled.read_text(encoding="utf-8")))
        self.outcome = Outcome()
        root = self.spec["root"]
        inputs = {}
        for name, one in root.get("inputDefinitions", {}).get("parameters", {}).items():
            value = arguments.pop(name, one.get("defaultValue"))
            if "literals" in one and value not in one["literals"]:
                self.outcome.failure = f"{name}: {value!r} is none of {one['literals']}"
                return self.outcome
            inputs[name] = _number(value) if one["parameterType"] == "NUMBER_INTEGER" else value
        assert not arguments, f"unknown parameters {arguments}"
        try:
            self._dag(root["dag"], inputs)
            wanted = root["dag"].get("outputs", {}).get("parameters", {})
            self.outcome.outputs = {key: self._value_of(self.done, one) for key, one in wanted.items()}
        except DriverFailed as error:
            self.outcome.failure = str(error)
        return self.outcome

    def _dag(self, dag: dict[str, Any], inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Runs the tasks of a graph or group in order of their dependencies; its state and its tasks."""
        done: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {}  # state, outputs, tasks inside
        waiting = dict(dag["tasks"])
        state = COMPLETE
        while waiting:
            ready = [key for key, task in waiting.items() if not set(task.get("dependentTasks", ())) & set(waiting)]
            assert ready, "a circle"
            for key in ready:
                done[key] = self._task(key, waiting.pop(key), inputs, done)
                if done[key][0] in (CACHED, RUNNING):
                    state = RUNNING
                elif done[key][0] == COMPLETE:
                    state = COMPLETE
        self.done = done
        return state, done

    def _task(
        self, key: str, task: dict[str, Any], inputs: dict[str, Any], done: dict[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        name = task["taskInfo"]["name"]
        given = {
            one: self._input(name, value, inputs, done)
            for one, value in task.get("inputs", {}).get("parameters", {}).items()
        }
        condition = task.get("triggerPolicy", {}).get("condition")
        if condition is not None and not _holds(condition, given):
            return SKIPPED, {}, {}
        component = self.spec["components"][task["componentRef"]["name"]]
        if "dag" in component:
            state, inside = self._dag(component["dag"], given)
            return state, component["dag"].get("outputs", {}).get("parameters", {}), inside
        return *self._container(key, name, task, component, given), {}

    def _container(
        self, key: str, name: str, task: dict[str, Any], component: dict[str, Any], given: dict[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        if name == self.restarted:
            raise DriverFailed(f"{name}: two tasks have the same task name")
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        count = container.get("resources", {}).get("accelerator", {}).get("resourceCount", "0")
        if found := CHANNEL.fullmatch(count):
            if found[1] not in given:
                raise DriverFailed(f"{name}: no input {found[1]} for its accelerator")
            count = given[found[1]]
        self.outcome.gpus[name] = int(count)
        declared = component.get("inputDefinitions", {}).get("parameters", {})
        own = {one: given.get(one, definition.get("defaultValue")) for one, definition in declared.items()}
        whole = {one for one, definition in declared.items() if definition["parameterType"] == "NUMBER_INTEGER"}
        own = {one: _number(value) if one in whole else value for one, value in own.items()}
        if missing := [one for one, value in own.items() if value is None]:
            raise DriverFailed(f"{name}: no value for {', '.join(missing)}")
        command = [container["image"], container["command"], container.get("args"), own]
        cache_key = json.dumps([component["executorLabel"].rpartition("-")[0] and command], sort_keys=True)
        if task.get("cachingOptions", {}).get("enableCache") and cache_key in self.cache:
            self.outcome.states[name] = CACHED
            return CACHED, self.cache[cache_key]
        function = container["args"][container["args"].index("--function_to_execute") + 1]
        outputs = self.call(name, function, own)
        metrics = outputs.pop("metrics of the run page", {})
        if wrong := [one for one, value in metrics.items() if value is None or not math.isfinite(value)]:
            raise DriverFailed(f"{name}: metrics {', '.join(wrong)} are no numbers")
        self.cache[cache_key] = outputs
        self.outcome.states[name] = COMPLETE
        return COMPLETE, outputs

    def _input(self, name: str, value: dict[str, Any], inputs: dict[str, Any], done: dict[str, Any]) -> Any:
        if "componentInputParameter" in value:
            return inputs[value["componentInputParameter"]]
        if "runtimeValue" in value:
            constant = value["runtimeValue"]["constant"]
            found = CHANNEL.fullmatch(constant) if isinstance(constant, str) else None
            return "run-1" if constant == "{{$.pipeline_job_uuid}}" else None if found else constant
        wanted = value["taskOutputParameter"]
        try:
            return self._output(done, wanted["producerTask"], wanted["outputParameterKey"])
        except KeyError as error:
            raise DriverFailed(f"{name}: {error.args[0]}") from None

    def _output(self, done: dict[str, Any], task: str, key: str) -> Any:
        """An output of a finished task, or of the task inside a group that the group's own outputs name."""
        _, outputs, inside = done[task]
        if not inside:
            return outputs[key]
        return self._value_of(inside, outputs[key], key)

    def _value_of(self, tasks: dict[str, Any], one: dict[str, Any], key: str = "") -> Any:
        if "valueFromParameter" in one:
            source = one["valueFromParameter"]
            return self._output(tasks, source["producerSubtask"], source["outputParameterKey"])
        for source in one["valueFromOneof"]["parameterSelectors"]:
            if tasks[source["producerSubtask"]][0] == COMPLETE:
                return self._output(tasks, source["producerSubtask"], source["outputParameterKey"])
        raise KeyError(f'processing OneOf: No successful task found for output key "{key}"')


def _number(value: float) -> float:
    """Numbers travel as JSON: a whole one arrives as an int, and nothing looks at a fraction."""
    return int(value) if value == int(value) else value


def _holds(condition: str, given: dict[str, Any]) -> bool:
    """A trigger condition, which is written in CEL: here with the few words of it that kfp's compiler uses."""
    python = condition.replace("inputs.parameter_values", "given").replace("== true", "== True").replace("!(", "not (")
    return bool(eval(python, {"given": given, "int": int}))
