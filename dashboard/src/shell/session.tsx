/** Who is here: nobody needs to sign in on the machine itself; elsewhere a token does, kept out of reach of scripts. */

import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState, type ReactNode } from "react";

import { get, post, remove } from "../api/client";
import type { Me } from "../api/models";
import { Failure, Problem } from "../api/problem";

export function useMe() {
  return useQuery({
    queryKey: ["me"],
    queryFn: ({ signal }) => get<Me>("me", {}, signal),
    staleTime: Infinity,
    refetchInterval: false,
  });
}

/** From the one that may do least. */
const ROLES: readonly Me["role"][] = ["viewer", "operator", "admin"];

/** Whether the caller has a role, or one above it; nobody is known to before the server has said so. */
export function useMay(role: Me["role"] = "operator"): boolean {
  const me = useMe();
  return me.data !== undefined && ROLES.indexOf(me.data.role) >= ROLES.indexOf(role);
}

/** What only those see who may do it. */
export function Doers({ role, children }: { role?: Me["role"]; children: ReactNode }) {
  return useMay(role) ? children : null;
}

export function isSignedOut(error: Error | null): boolean {
  return error instanceof Problem && error.status === 401;
}

export function SignIn() {
  const queries = useQueryClient();
  const [token, setToken] = useState("");
  const [problem, setProblem] = useState<Problem>();
  const send = async () => {
    try {
      await post<Me>("session", { token });
      await queries.resetQueries();
    } catch (error) {
      setProblem(error as Problem);
    }
  };
  return (
    <form
      className="over signin"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <h1>Sign in</h1>
      <label className="field">
        <span className="lbl">Token</span>
        <input className="input" type="password" autoComplete="current-password" value={token} onChange={(event) => setToken(event.target.value)} />
        <span className="hint">
          An administrator makes one: <code>stream-durable api-tokens create</code>
        </span>
      </label>
      {problem && <Failure problem={problem} />}
      <div className="row">
        <button type="submit" className="btn btn--main" disabled={!token}>
          Sign in
        </button>
      </div>
    </form>
  );
}

export function SignOut() {
  const me = useMe();
  const queries = useQueryClient();
  const [problem, setProblem] = useState<Problem>();
  if (!me.data) return null;
  return (
    <dl className="kv kv--wide">
      <dt>Name</dt>
      <dd>{me.data.name}</dd>
      <dt>Role</dt>
      <dd>
        {me.data.role}
        {!me.data.may_see_payloads && ", payloads are hidden"}
      </dd>
      {me.data.name !== "local" && (
        <>
          <dt>Session</dt>
          <dd>
            <button type="button" className="btn" onClick={() => void remove("session").then(() => queries.resetQueries(), setProblem)}>
              Sign out
            </button>
            {problem && <Failure problem={problem} />}
          </dd>
        </>
      )}
    </dl>
  );
}
