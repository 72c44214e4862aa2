/** Operations: acts on all runs of a filter and replays, with progress, and a stop. */

import { useQuery } from "@tanstack/react-query";

import { get, part, remove } from "../api/client";
import type { OperationList, OperationState } from "../api/models";
import { useActs } from "../parts/acting";
import { Empty, Icon, Meter, Took, Time } from "../parts/basics";
import { Table, type Column } from "../parts/table";
import type { Hue } from "../pure/look";
import { counted } from "../pure/time";
import { useMay } from "../shell/session";
import { Screen } from "./instance";
import type { IconName } from "../parts/sprite";

const LOOKS: Record<string, [IconName, Hue]> = {
  running: ["s-running", "blue"],
  completed: ["s-completed", "green"],
  stopped: ["s-cancelled", "grey"],
  failed: ["s-failed", "red"],
};

/** What an operation does, and of how many; of a replay offsets say the most there can be. */
function doing(each: OperationState): { what: string; total: string } {
  if (each.subject) return { what: `${each.act} ${each.subject}`, total: `${each.found.toLocaleString("en")} records` };
  return { what: `${each.act} runs`, total: counted(each.found, each.is_exact) };
}

export function Operations() {
  const [ask, dialog] = useActs(["operations"]);
  const mayAct = useMay();
  const found = useQuery({
    queryKey: ["operations"],
    queryFn: ({ signal }) => get<OperationList>("operations", {}, signal),
    refetchInterval: (query) => (query.state.data?.operations.some((each) => each.status === "running") ? 1_000 : 5_000),
  });
  const rows = found.data?.operations ?? [];
  const columns: Column<OperationState>[] = [
    {
      key: "state",
      head: "State",
      width: 140,
      cell: (each) => {
        const [icon, hue] = LOOKS[each.status] ?? LOOKS.running!;
        return (
          <span className={`state ${hue}`}>
            <Icon name={icon} /> {each.status}
          </span>
        );
      },
    },
    {
      key: "act",
      head: "Act",
      width: 200,
      cell: (each) => (
        <>
          {each.act} {each.subject ? <span className="id">{each.subject}</span> : "runs"}
        </>
      ),
    },
    {
      key: "told",
      head: "Done",
      width: 220,
      num: true,
      cell: (each) => (
        <>
          <Meter done={each.told} total={each.found} /> {each.told.toLocaleString("en")} of {doing(each).total}
        </>
      ),
    },
    {
      key: "reason",
      head: "Reason",
      from: 768,
      cell: (each) =>
        each.error ? (
          <span title={each.error}>{each.error}</span>
        ) : each.replayed?.bad ? (
          <span title={each.replayed.reasons.join("\n")}>
            {each.replayed.bad.toLocaleString("en")} cannot be taken: {each.replayed.reasons[0]}
          </span>
        ) : (
          <span className="q2">{each.reason}</span>
        ),
    },
    { key: "by", head: "By", width: 120, from: 768, cell: (each) => each.by },
    { key: "begun", head: "Begun", width: 112, num: true, from: 768, cell: (each) => <Time at={each.begun} /> },
    { key: "took", head: "Took", width: 96, num: true, from: 1024, cell: (each) => <Took from={each.begun} to={each.ended} /> },
    {
      key: "stop",
      head: <span className="vh">Acts</span>,
      width: 88,
      num: true,
      cell: (each) =>
        each.status === "running" &&
        mayAct && (
          <button
            type="button"
            className="link"
            aria-label={`Stop to ${doing(each).what}`}
            onClick={() =>
              ask({
                title: `Stop to ${doing(each).what}`,
                verb: "Stop it",
                isRisky: true,
                asksReason: false,
                preview: <p className="hint">Requests sent so far stay. The same act begins again with what is left.</p>,
                run: () => remove(`operations/${part(each.id)}`),
              })
            }
          >
            Stop…
          </button>
        ),
    },
  ];
  return (
    <Screen title="Operations" query={found} count={`${rows.length} of this server`}>
      {rows.length === 0 ? (
        <Empty title="No operations">
          <p>An act on all runs that match a filter, a replay, or a redrive of records is listed here, with its progress.</p>
        </Empty>
      ) : (
        <Table label="Operations" columns={columns} rows={rows} rowKey={(each) => each.id} />
      )}
      {dialog}
    </Screen>
  );
}
