import { expect, test } from "vitest";
import { body, type Filled } from "./sign-in";

const nothing: Filled = { token: "", cloud: "local", user: "", domain: "", password: "", project: "", credential: "", secret: "" };

test("nothing is sent while something is missing", () => {
  for (const way of ["token", "password", "credential"] as const) expect(body(way, nothing)).toBeNull();
  expect(body("password", { ...nothing, user: "ann", password: "x" })).toBeNull();
  expect(body("credential", { ...nothing, credential: "id" })).toBeNull();
});

test("each way sends what is its own, and no password is trimmed", () => {
  const all: Filled = { token: " sya_1 ", cloud: "local", user: "ann ", domain: "", password: " p ", project: "shop", credential: "ci", secret: " s " };
  expect(body("token", all)).toEqual({ token: "sya_1" });
  expect(body("password", all)).toEqual({ password: { cloud: "local", user: "ann", password: " p ", project: "shop" } });
  expect(body("credential", all)).toEqual({ application_credential: { cloud: "local", credential: "ci", secret: " s ", user: "ann" } });
  expect(body("credential", { ...all, user: "", domain: "Users" })).toEqual({ application_credential: { cloud: "local", credential: "ci", secret: " s " } });
  expect(body("password", { ...all, domain: "Users" })).toHaveProperty("password.domain", "Users");
});
