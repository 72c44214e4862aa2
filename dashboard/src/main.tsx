import "./styles/tokens.css";
import "./styles/parts.css";

import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { pace } from "./api/live";
import { Problem } from "./api/problem";
import { applyTheme } from "./parts/theme";
import { routerOf } from "./router";

applyTheme();
const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // What is shown is asked for again while it is looked at: seldom, where the stream says what has changed.
      refetchInterval: pace,
      // What the server refuses, it refuses again; what did not reach it may reach it.
      retry: (count, error) => !(error instanceof Problem) && count < 2,
      refetchOnWindowFocus: true,
    },
  },
});
const router = routerOf(queries);
createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
