/** Search and commands, a combobox over what is loaded; the server's runs are joined below without moving the choice. */

import { useQueryClient, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useEffect, useId, useMemo, useRef, useState, type ReactNode } from "react";

import type { RunEntry, RunList } from "../api/models";
import { Icon, Kbd } from "../parts/basics";
import type { IconName } from "../parts/sprite";
import { look } from "../pure/look";

export interface Command {
  id: string;
  group: string;
  title: string;
  hint?: string;
  icon: IconName;
  hue?: string;
  run: () => void;
}

const offered: { current: readonly Command[] }[] = [];

/** Offer acts in the palette for as long as the caller is shown. */
export function useCommands(commands: readonly Command[]): void {
  const ref = useRef(commands);
  ref.current = commands;
  useEffect(() => {
    offered.push(ref);
    return () => void offered.splice(offered.indexOf(ref), 1);
  }, []);
}

export function Palette({ onClose }: { onClose: () => void }) {
  const box = useRef<HTMLDialogElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const navigate = useNavigate();
  const id = useId();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState("");
  useEffect(() => box.current?.showModal(), []);

  const queries = useQueryClient();
  const known = useMemo(() => loaded(queries), [queries]);
  const commands = useMemo(() => {
    const words = text.replace(/^>/, "").trim().toLowerCase();
    const here = offered.toReversed().flatMap((each) => each.current);
    const matching = here.filter((each) => each.title.toLowerCase().includes(words));
    const found = words ? known.filter((run) => run.id.toLowerCase().includes(words)) : known;
    const runs: Command[] = (text.startsWith(">") ? [] : found.slice(0, words ? 8 : 5)).map((run) => ({
      id: `run ${run.id}`,
      group: "Runs",
      title: run.id,
      hint: run.workflow,
      icon: look(run.status, run.word).icon,
      hue: look(run.status, run.word).hue,
      run: () => void navigate({ to: "/runs/$id", params: { id: run.id } }),
    }));
    const open: Command[] = words
      ? [
          {
            id: "open",
            group: "Runs",
            title: `Open run ${text.trim()}`,
            icon: "search",
            run: () => void navigate({ to: "/runs/$id", params: { id: text.trim() } }),
          },
        ]
      : [];
    return [...matching, ...runs, ...(text.startsWith(">") ? [] : open)];
  }, [text, known, navigate]);

  const place = Math.max(
    0,
    commands.findIndex((each) => each.id === chosen),
  );
  const current = commands[place];
  const move = (by: number) => {
    const next = commands[(place + by + commands.length) % Math.max(1, commands.length)];
    if (!next) return;
    setChosen(next.id);
    list.current?.querySelector(`[data-id="${CSS.escape(next.id)}"]`)?.scrollIntoView({ block: "nearest" });
  };
  const go = (command: Command) => {
    box.current?.close();
    command.run();
  };

  return (
    <dialog
      ref={box}
      className="float dialog cmd"
      aria-label="Search and commands"
      onClose={onClose}
      onClick={(event) => event.target === box.current && box.current?.close()}
    >
      <div className="cmd__find">
        <Icon name="search" className="q3" />
        <input
          autoFocus
          role="combobox"
          aria-expanded="true"
          aria-controls={id}
          aria-activedescendant={current ? `${id}-${place}` : undefined}
          aria-label="Search or type a command"
          placeholder="Search or type a command"
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setChosen("");
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") move(1);
            else if (event.key === "ArrowUp") move(-1);
            else if (event.key === "Enter" && current) go(current);
            else return;
            event.preventDefault();
          }}
        />
        <Kbd>Esc</Kbd>
      </div>
      <div className="cmd__list" id={id} role="listbox" aria-label="Found" ref={list} tabIndex={-1}>
        {grouped(commands).map(([group, inner]) => (
          <div key={group} role="group" aria-label={group}>
            <div className="cmd__head" aria-hidden="true">
              {group}
            </div>
            {inner.map(([each, at]) => (
              <div
                key={each.id}
                data-id={each.id}
                id={`${id}-${at}`}
                role="option"
                aria-selected={at === place}
                className="cmd__item"
                onClick={() => go(each)}
                onPointerMove={() => at !== place && setChosen(each.id)}
              >
                <Icon name={each.icon} className={`${each.hue ?? ""} ${each.hue ? "fg" : "q3"}`} />
                <span className="cut">{marked(each.title, text)}</span>
                {each.hint && <span className="right">{each.hint}</span>}
              </div>
            ))}
          </div>
        ))}
        {commands.length === 0 && <p className="cmd__head">Nothing is called so.</p>}
      </div>
      <div className="cmd__foot">
        <span>
          <Kbd>↑</Kbd> <Kbd>↓</Kbd> move
        </span>
        <span>
          <Kbd>Enter</Kbd> open
        </span>
        <span className="right phone-off">
          Start with <Kbd>&gt;</Kbd> for commands
        </span>
      </div>
    </dialog>
  );
}

function grouped(commands: readonly Command[]): [string, [Command, number][]][] {
  const groups = new Map<string, [Command, number][]>();
  commands.forEach((each, i) => {
    const known = groups.get(each.group);
    if (known) known.push([each, i]);
    else groups.set(each.group, [[each, i]]);
  });
  return [...groups];
}

function marked(title: string, text: string): ReactNode {
  const words = text.replace(/^>/, "").trim();
  const at = words ? title.toLowerCase().indexOf(words.toLowerCase()) : -1;
  if (at < 0) return title;
  return (
    <>
      {title.slice(0, at)}
      <b>{title.slice(at, at + words.length)}</b>
      {title.slice(at + words.length)}
    </>
  );
}

/** The runs that screens have loaded, the latest lists first. */
function loaded(queries: QueryClient): RunEntry[] {
  const lists = queries.getQueriesData<InfiniteData<RunList>>({ queryKey: ["runs", "list"] }).toReversed();
  const overview = queries.getQueryData<{ runs: RunEntry[] }>(["overview"]);
  const all = [...(overview?.runs ?? []), ...lists.flatMap(([, data]) => data?.pages.flatMap((page) => page.runs) ?? [])];
  return [...new Map(all.map((run) => [run.id, run])).values()];
}
