/** The screens and their addresses. Everything that changes what is seen is in the address. */

import { createRootRoute, createRoute, createRouter, Link } from "@tanstack/react-router";

import { Empty } from "./parts/basics";
import { readSearch, type RunsSearch } from "./pure/filters";
import { Admissions, type AdmissionsSearch } from "./screens/admissions";
import { Gates, type GatesSearch } from "./screens/gates";
import { Later, Stream, type StreamSearch } from "./screens/instance";
import { Inputs, type InputsSearch } from "./screens/inputs";
import { Operations } from "./screens/operations";
import { Overview } from "./screens/overview";
import { Run, VIEWS, type RunSearch, type View } from "./screens/run";
import { Runs } from "./screens/runs";
import { Schedules, type SchedulesSearch } from "./screens/schedules";
import { Settings } from "./screens/settings";
import { Triggers, type TriggersSearch } from "./screens/triggers";
import { Workers } from "./screens/workers";
import { Workflow, Workflows } from "./screens/workflows";
import { Shell } from "./shell/shell";

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);

const root = createRootRoute({ component: Shell, notFoundComponent: Nowhere });

const routes = [
  createRoute({ getParentRoute: () => root, path: "/", component: Overview }),
  createRoute({
    getParentRoute: () => root,
    path: "/runs",
    component: Runs,
    validateSearch: (given: Record<string, unknown>): RunsSearch => readSearch(given),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/runs/$id",
    component: Run,
    validateSearch: (given: Record<string, unknown>): RunSearch => ({
      view: VIEWS.includes(given.view as View) ? (given.view as View) : undefined,
      // Empty: the panel was closed, so the failing step does not open by itself.
      step: typeof given.step === "string" ? given.step : undefined,
      attempt: Number(given.attempt) || undefined,
    }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/inputs",
    component: Inputs,
    validateSearch: (given: Record<string, unknown>): InputsSearch => ({
      run: text(given.run),
      wait: text(given.wait),
      role: text(given.role),
    }),
  }),
  createRoute({ getParentRoute: () => root, path: "/workflows", component: Workflows }),
  createRoute({ getParentRoute: () => root, path: "/workflows/$name", component: Workflow }),
  createRoute({
    getParentRoute: () => root,
    path: "/schedules",
    component: Schedules,
    validateSearch: (given: Record<string, unknown>): SchedulesSearch => ({ name: text(given.name) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/stream",
    component: Stream,
    validateSearch: (given: Record<string, unknown>): StreamSearch => ({ record: text(given.record) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/triggers",
    component: Triggers,
    validateSearch: (given: Record<string, unknown>): TriggersSearch => ({ trigger: text(given.trigger), binding: text(given.binding) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/gates",
    component: Gates,
    validateSearch: (given: Record<string, unknown>): GatesSearch => ({ name: text(given.name), key: text(given.key) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/admissions",
    component: Admissions,
    validateSearch: (given: Record<string, unknown>): AdmissionsSearch => ({ name: text(given.name), key: text(given.key) }),
  }),
  createRoute({ getParentRoute: () => root, path: "/operations", component: Operations }),
  createRoute({ getParentRoute: () => root, path: "/workers", component: Workers }),
  createRoute({ getParentRoute: () => root, path: "/later", component: Later }),
  createRoute({ getParentRoute: () => root, path: "/settings", component: Settings }),
] as const;

function Nowhere() {
  return (
    <Empty isPage title="There is nothing here">
      <p>
        This address leads nowhere. <Link to="/">Overview</Link>
      </p>
    </Empty>
  );
}

export const router = createRouter({
  routeTree: root.addChildren(routes),
  basepath: new URL(document.baseURI).pathname,
  defaultPreload: false,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
