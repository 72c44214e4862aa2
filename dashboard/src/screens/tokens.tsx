/** The tokens of the API, for administrators: which there are, a new one, whose secret is shown once, and none any more. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { get, part, post, remove } from "../api/client";
import type { ApiToken, ApiTokenList } from "../api/models";
import { Failure } from "../api/problem";
import { useActs } from "../parts/acting";
import { Copy, Icon, Skeleton, Time } from "../parts/basics";
import { Dialog, type Act } from "../parts/dialog";
import { useNow } from "../parts/clock";
import { filled } from "../pure/form";
import { useMay, useMe } from "../shell/session";

interface Made {
  name: string;
  secret: string;
}

export function Tokens() {
  const isAdmin = useMay("admin");
  const me = useMe();
  const [ask, dialog] = useActs(["tokens"]);
  const [made, setMade] = useState<Made>();
  const found = useQuery({
    queryKey: ["tokens"],
    queryFn: ({ signal }) => get<ApiTokenList>("tokens", {}, signal),
    enabled: isAdmin,
    refetchInterval: false,
  });
  if (!isAdmin) return null;
  const rows = found.data?.tokens ?? [];
  return (
    <section aria-label="API tokens">
      <div className="sect__head">
        <h2>API tokens</h2>
        {found.data && <span className="count">{rows.length}</span>}
        <div className="right row">
          <button type="button" className="btn" onClick={() => ask(make(setMade))}>
            <Icon name="plus" /> Make a token…
          </button>
        </div>
      </div>
      {found.isError ? (
        <Failure problem={found.error} onRetry={() => void found.refetch()} />
      ) : found.isPending ? (
        <Skeleton rows={2} />
      ) : rows.length === 0 ? (
        <p className="q2">There is none. Callers on this machine need none; all others do.</p>
      ) : (
        <table className="tbl">
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col" className="w-time">
                Role
              </th>
              <th scope="col" className="w-time from-768">
                Payloads
              </th>
              <th scope="col" className="w-date from-768">
                Made
              </th>
              <th scope="col" className="w-date from-768">
                Good until
              </th>
              <th scope="col" className="num w-time">
                <span className="vh">Acts</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {rows.map((each) => (
              <Row key={each.name} each={each} isOwn={each.name === me.data?.name} onRevoke={() => ask(revoke(each.name, each.name === me.data?.name))} />
            ))}
          </tbody>
        </table>
      )}
      {dialog}
      {made && <Secret made={made} onClose={() => setMade(undefined)} />}
    </section>
  );
}

function Row({ each, isOwn, onRevoke }: { each: ApiToken; isOwn: boolean; onRevoke: () => void }) {
  const now = useNow();
  const isOver = each.expires !== null && Date.parse(each.expires) <= now;
  return (
    <tr>
      <td className="mono" title={each.name}>
        {each.name} {isOwn && <span className="tag">you</span>}
      </td>
      <td>{each.role}</td>
      <td className="from-768">{each.may_see_payloads ? "shown" : "hidden"}</td>
      <td className="from-768">
        <Time at={each.created} />
      </td>
      <td className="from-768">{each.expires === null ? <span className="q3">no end</span> : <Time at={each.expires} />}</td>
      <td className="num">
        {each.revoked ? (
          <span className="state grey">
            <Icon name="s-cancelled" /> revoked
          </span>
        ) : isOver ? (
          <span className="state grey">
            <Icon name="s-skipped" /> expired
          </span>
        ) : (
          <button type="button" className="link" aria-label={`Revoke token ${each.name}`} onClick={onRevoke}>
            Revoke…
          </button>
        )}
      </td>
    </tr>
  );
}

function make(onMade: (made: Made) => void): Act {
  return {
    title: "Make a token",
    verb: "Make it",
    asksReason: false,
    preview: <p className="hint">A viewer reads; an operator also acts, and examines; an admin also repairs, and reads settings and tokens.</p>,
    form: {
      schema: {
        type: "object",
        required: ["name", "role", "payloads"],
        properties: {
          name: { type: "string", title: "Name", maxLength: 100, description: "It stands beside what its holder does." },
          role: { enum: ["viewer", "operator", "admin"], title: "Role", default: "viewer" },
          payloads: { type: "boolean", title: "It shows inputs, outputs and other values" },
          expires: { type: "string", title: "Good for", description: "Such as 90d; empty: until it is revoked." },
        },
      },
    },
    run: async (_, value) => {
      const given = filled(value) as { name: string };
      const { secret } = await post<{ secret: string }>("tokens", given);
      onMade({ name: given.name, secret });
    },
  };
}

function revoke(name: string, isOwn: boolean): Act {
  return {
    title: `Revoke token ${name}`,
    verb: "Revoke it",
    isRisky: true,
    asksReason: false,
    preview: (
      <p className="hint">
        Whoever has it is refused within five seconds, for good. {isOwn && "It is the one that you are signed in with."}
      </p>
    ),
    run: () => remove(`tokens/${part(name)}`),
  };
}

/** The only sight of a secret: the server keeps its hash alone. */
function Secret({ made, onClose }: { made: Made; onClose: () => void }) {
  return (
    <Dialog title={`Token ${made.name}`} onClose={onClose}>
      <p>This is its secret. It is shown now and never again: keep it where secrets are kept.</p>
      <div className="row">
        <code className="code grow secret" tabIndex={0} aria-label={`Secret of ${made.name}`}>
          {made.secret}
        </code>
        <Copy text={made.secret} label={`Copy the secret of ${made.name}`} />
      </div>
      <p className="hint">
        Programs send it as <code>Authorization: Bearer …</code>; people sign in with it.
      </p>
      <div className="row right">
        <button type="button" className="btn btn--main" onClick={onClose}>
          I have it
        </button>
      </div>
    </Dialog>
  );
}
