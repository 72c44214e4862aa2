/** The screens and their addresses. Everything that changes what is seen is in the address. */

import type { QueryClient } from "@tanstack/react-query";
import { createRootRouteWithContext, createRoute, createRouter, lazyRouteComponent, Link } from "@tanstack/react-router";

import { run } from "./api/client";
import { Empty } from "./parts/basics";
import { readSearch, type RunsSearch } from "./pure/filters";
import { VIEWS, type View } from "./pure/views";
import type { AdmissionsSearch } from "./screens/admissions";
import type { DoctorSearch } from "./screens/doctor";
import type { GatesSearch } from "./screens/gates";
import type { StreamSearch } from "./screens/instance";
import type { InputsSearch } from "./screens/inputs";
import type { RunSearch } from "./screens/run";
import type { SchedulesSearch } from "./screens/schedules";
import type { TriggersSearch } from "./screens/triggers";
import { Shell } from "./shell/shell";

const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);

const root = createRootRouteWithContext<{ queries: QueryClient }>()({ component: Shell, notFoundComponent: Nowhere });

const routes = [
  createRoute({ getParentRoute: () => root, path: "/", component: lazyRouteComponent(() => import("./screens/overview"), "Overview") }),
  createRoute({
    getParentRoute: () => root,
    path: "/runs",
    component: lazyRouteComponent(() => import("./screens/runs"), "Runs"),
    validateSearch: (given: Record<string, unknown>): RunsSearch => readSearch(given),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/runs/$id",
    component: lazyRouteComponent(() => import("./screens/run"), "Run"),
    // Asked for while the screen is being loaded; what goes wrong is shown there.
    loader: ({ context, params }) => void context.queries.ensureQueryData(run(params.id)).catch(() => undefined),
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
    component: lazyRouteComponent(() => import("./screens/inputs"), "Inputs"),
    validateSearch: (given: Record<string, unknown>): InputsSearch => ({
      run: text(given.run),
      wait: text(given.wait),
      role: text(given.role),
    }),
  }),
  createRoute({ getParentRoute: () => root, path: "/workflows", component: lazyRouteComponent(() => import("./screens/workflows"), "Workflows") }),
  createRoute({ getParentRoute: () => root, path: "/workflows/$name", component: lazyRouteComponent(() => import("./screens/workflows"), "Workflow") }),
  createRoute({
    getParentRoute: () => root,
    path: "/schedules",
    component: lazyRouteComponent(() => import("./screens/schedules"), "Schedules"),
    validateSearch: (given: Record<string, unknown>): SchedulesSearch => ({ name: text(given.name) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/stream",
    component: lazyRouteComponent(() => import("./screens/instance"), "Stream"),
    validateSearch: (given: Record<string, unknown>): StreamSearch => ({ record: text(given.record) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/triggers",
    component: lazyRouteComponent(() => import("./screens/triggers"), "Triggers"),
    validateSearch: (given: Record<string, unknown>): TriggersSearch => ({ trigger: text(given.trigger), binding: text(given.binding) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/gates",
    component: lazyRouteComponent(() => import("./screens/gates"), "Gates"),
    validateSearch: (given: Record<string, unknown>): GatesSearch => ({ name: text(given.name), key: text(given.key) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/admissions",
    component: lazyRouteComponent(() => import("./screens/admissions"), "Admissions"),
    validateSearch: (given: Record<string, unknown>): AdmissionsSearch => ({ name: text(given.name), key: text(given.key) }),
  }),
  createRoute({
    getParentRoute: () => root,
    path: "/doctor",
    component: lazyRouteComponent(() => import("./screens/doctor"), "Doctor"),
    validateSearch: (given: Record<string, unknown>): DoctorSearch => ({ check: text(given.check) }),
  }),
  createRoute({ getParentRoute: () => root, path: "/operations", component: lazyRouteComponent(() => import("./screens/operations"), "Operations") }),
  createRoute({ getParentRoute: () => root, path: "/workers", component: lazyRouteComponent(() => import("./screens/workers"), "Workers") }),
  createRoute({ getParentRoute: () => root, path: "/later", component: lazyRouteComponent(() => import("./screens/instance"), "Later") }),
  createRoute({ getParentRoute: () => root, path: "/settings", component: lazyRouteComponent(() => import("./screens/settings"), "Settings") }),
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

/** The router of a page whose screens share a cache of answers. */
export function routerOf(queries: QueryClient) {
  return createRouter({
    context: { queries },
    routeTree: root.addChildren(routes),
    basepath: new URL(document.baseURI).pathname,
    defaultPreload: false,
    scrollRestoration: true,
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof routerOf>;
  }
}
