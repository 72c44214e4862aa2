import { expect, test } from "vitest";

import { streamQuery, subjectOf, subjectOfEvent } from "../src/pure/subjects";

const filter = (search: { version?: string; status?: string[] }) => ({ fingerprint: search.version, status: search.status, failed: false });

test("an answer changes with its run, its list or everything", () => {
  expect(subjectOf(["run", "a/b", "why", undefined], filter)).toBe("run=a/b");
  expect(subjectOf(["runs", "list", { status: ["failed", "waiting"] }], filter)).toBe("list=status=failed&status=waiting");
  expect(subjectOf(["runs", "statuses", {}], filter)).toBe("list=");
  expect(subjectOf(["overview"], filter)).toBe("overview=true");
  expect(subjectOf(["runs", "inputs", "role"], filter)).toBe("overview=true");
  expect(subjectOf(["settings"], filter)).toBeUndefined();
});

test("an event names the subject that the stream was asked for", () => {
  const subjects = (["run=a&b", "list=workflow=order", "overview=true"] as const).map((each) => each);
  const query = new URLSearchParams(streamQuery(subjects, "1.2"));
  expect(subjectOfEvent("run", { run: query.get("run")! })).toBe(subjects[0]);
  expect(subjectOfEvent("list", { list: query.get("list")! })).toBe(subjects[1]);
  expect(subjectOfEvent("overview", {})).toBe(subjects[2]);
  expect(subjectOfEvent("alive", {})).toBeUndefined();
  expect(query.get("after")).toBe("1.2");
});
