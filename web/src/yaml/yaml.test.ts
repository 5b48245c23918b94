import { expect, test } from "vitest";
import schema from "../../../docs/schema/yard.schema.json";
import { yardName } from "./yard-name";
import { cursorPlace } from "./cursor";
import { keysAt, valuesAt, type JsonSchema } from "./schema";

/** The cursor's place at the `|` in a text. */
function place(text: string) {
  return cursorPlace(text.replace("|", ""), text.indexOf("|"));
}

const HEAD = "apiVersion: stackyard.dev/v1\nkind: Yard\nmetadata: {name: shop}\n";

test("a place by indentation", () => {
  expect(place("ki|")).toEqual({ path: [], editing: "key", word: "ki" });
  expect(place(`${HEAD}spec:\n  serv|`)).toEqual({ path: ["spec"], editing: "key", word: "serv" });
  expect(place(`${HEAD}spec:\n  servers:\n    - name: db\n      fla|`)).toEqual({ path: ["spec", "servers", "[]"], editing: "key", word: "fla" });
  expect(place(`${HEAD}spec:\n  servers:\n  - name: db\n    |`)).toEqual({ path: ["spec", "servers", "[]"], editing: "key", word: "" });
  expect(place(`${HEAD}spec:\n  servers:\n    - n|`)).toEqual({ path: ["spec", "servers", "[]"], editing: "key", word: "n" });
  expect(place(`${HEAD}spec:\n  servers:\n    - bootVolume:\n        size: 1Gi\n      im|`)?.path).toEqual(["spec", "servers", "[]"]);
  expect(place(`${HEAD}spec:\n  networks:\n    - {name: a}\n\n  # more\n  |`)?.path).toEqual(["spec"]);
  expect(place(`${HEAD}spec:\n  cloud: lo|`)).toEqual({ path: ["spec", "cloud"], editing: "value", word: "lo" });
  expect(place("metadata:\n  name: a # the n|")).toBeNull();
});

test("a place in brackets", () => {
  expect(place(`${HEAD}spec:\n  servers:\n    - {name: db, fl|`)).toEqual({ path: ["spec", "servers", "[]"], editing: "key", word: "fl" });
  expect(place(`${HEAD}spec:\n  servers:\n    - {name: db, networks: [front, |`)).toEqual({ path: ["spec", "servers", "[]", "networks", "[]"], editing: "value", word: "" });
  expect(place(`${HEAD}spec:\n  servers:\n    - {networks: [{network: a}, {ad|`)?.path).toEqual(["spec", "servers", "[]", "networks", "[]"]);
  expect(place(`${HEAD}spec:\n  networks:\n    - {name: "a, b", router: {external: public}, |`)).toEqual({ path: ["spec", "networks", "[]"], editing: "key", word: "" });
  expect(place(`metadata: {n|`)?.path).toEqual(["metadata"]);
});

test("a manifest's name, also while it is written", () => {
  expect(yardName(HEAD)).toBe("shop");
  expect(yardName("kind: Yard\nmetadata:\n  # ours\n  name: a-1\n")).toBe("a-1");
  expect(yardName("metadata: {labels: x, name: 'b'}\n")).toBe("b");
  expect(yardName("metadata:\n  name:\nspec:\n  networks:\n    - name: front\n")).toBeUndefined();
  expect(yardName("")).toBeUndefined();
});

test("the yard's own schema says what may stand there", () => {
  const root = schema as JsonSchema;
  const names = (path: string[]) => keysAt(root, path).map((k) => k.name);
  expect(names([])).toEqual(expect.arrayContaining(["apiVersion", "kind", "metadata", "spec"]));
  expect(names(["spec"])).toContain("loadBalancers");
  expect(names(["spec", "servers", "[]"]).slice(0, 2)).toEqual(expect.arrayContaining(["name", "flavor"]));
  expect(names(["spec", "networks", "[]", "router"])).toContain("external");
  expect(names(["spec", "hosts", "[]", "join", "command", "http"])).toContain("jsonPath");
  expect(keysAt(root, ["spec"]).find((k) => k.name === "servers")?.holds).toBe("array");
  expect(keysAt(root, ["spec", "servers", "[]"]).find((k) => k.name === "image")?.about).not.toBe("");
  expect(names(["spec", "nothing", "[]"])).toEqual([]);
  expect(valuesAt(root, ["spec", "servers", "[]", "configDrive"]).map((v) => v.value)).toEqual(["true", "false"]);
  expect(valuesAt(root, ["spec", "loadBalancers", "[]", "listeners", "[]", "proto"]).map((v) => v.value)).toContain("udp");
});
