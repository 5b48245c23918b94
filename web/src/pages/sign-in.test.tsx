import { expect, test } from "vitest";
import { sessionRequest, type SignInFields } from "./sign-in";

const nothing: SignInFields = { token: "", cloud: "local", user: "", domain: "", password: "", project: "", credential: "", secret: "" };

test("nothing is sent while something is missing", () => {
  for (const way of ["token", "password", "credential"] as const) expect(sessionRequest(way, nothing)).toBeNull();
  expect(sessionRequest("password", { ...nothing, user: "ann", password: "x" })).toBeNull();
  expect(sessionRequest("credential", { ...nothing, credential: "id" })).toBeNull();
});

test("each way sends what is its own, and no password is trimmed", () => {
  const all: SignInFields = { token: " sya_1 ", cloud: "local", user: "ann ", domain: "", password: " p ", project: "shop", credential: "ci", secret: " s " };
  expect(sessionRequest("token", all)).toEqual({ token: "sya_1" });
  expect(sessionRequest("password", all)).toEqual({ password: { cloud: "local", user: "ann", password: " p ", project: "shop" } });
  expect(sessionRequest("credential", all)).toEqual({ application_credential: { cloud: "local", credential: "ci", secret: " s ", user: "ann" } });
  expect(sessionRequest("credential", { ...all, user: "", domain: "Users" })).toEqual({ application_credential: { cloud: "local", credential: "ci", secret: " s " } });
  expect(sessionRequest("password", { ...all, domain: "Users" })).toHaveProperty("password.domain", "Users");
});
