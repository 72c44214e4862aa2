/**
 * Live changes: one stream for all tabs of a browser, since a server is given six connections at most.
 *
 * Each tab says what it shows; the tab that holds the lock keeps the stream and passes events on. Without locks
 * (an address without TLS) each tab has a stream of its own. What changed is asked for again; without a stream
 * everything is, every few seconds.
 */

import { type Query, type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";

import { streamQuery, subjectOf, subjectOfEvent, type Subject } from "../pure/subjects";
import { filterOf } from "./client";

const NAME = "stream-durable-live";
const EVENTS = ["hello", "run", "list", "overview", "reload", "alive", "goodbye"] as const;
/** A change is shown at once; the next one of the same subject after this pause, or after so many times what asking took. */
const PAUSE_MS = 300;
const PAUSE_SHARE = 3;
/** With the stream, what it carries is asked for so seldom; all else, and without it everything, so often. */
const LIVE_MS = 60_000;
const POLL_MS = 5_000;
const REOPEN_MS = 5_000;
/** The server says every 15 s that it is there. */
const SILENT_MS = 40_000;
/** Tabs say what they show at least so often; who says nothing for long is gone. */
const SAY_MS = 20_000;
const GONE_MS = 65_000;

type Message =
  | { kind: "shows"; tab: string; subjects: Subject[] }
  | { kind: "who" }
  | { kind: "changed"; subject: Subject }
  | { kind: "reload" }
  | { kind: "state"; isLive: boolean };

let isLive = false;
const listeners = new Set<() => void>();

function setLive(value: boolean): void {
  if (value === isLive) return;
  isLive = value;
  for (const each of listeners) each();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Return whether changes are shown as they happen; otherwise what is shown is up to 5 s old. */
export function useIsLive(): boolean {
  return useSyncExternalStore(subscribe, () => isLive);
}

/** How long an answer stands before it is asked for again, as `refetchInterval`. */
export function pace(query: Query): number {
  return isLive && subjectOf(query.queryKey, filterOf) ? LIVE_MS : POLL_MS;
}

/** Keep what is shown current, for as long as the page is there: for the shell alone. */
export function useLive(): void {
  const queries = useQueryClient();
  useEffect(() => {
    const tab = new Tab(queries);
    return () => tab.close();
  }, [queries]);
}

/** A tab: says what it shows, and asks again for what has changed. */
class Tab {
  readonly #id = crypto.randomUUID();
  readonly #queries: QueryClient;
  readonly #channel = new BroadcastChannel(NAME);
  readonly #ending = new AbortController();
  readonly #changed = new Set<Subject>();
  readonly #off: () => void;
  readonly #timer: ReturnType<typeof setInterval>;
  #source: Source | undefined;
  #said = "";
  #isAsking = false;
  #isSaying = false;

  constructor(queries: QueryClient) {
    this.#queries = queries;
    this.#channel.onmessage = (event: MessageEvent<Message>) => this.#take(event.data);
    this.#off = queries.getQueryCache().subscribe(() => this.#saySoon());
    document.addEventListener("visibilitychange", this.#saySoon);
    window.addEventListener("pagehide", this.#leave);
    this.#timer = setInterval(() => this.#say(true), SAY_MS);
    void this.#lead();
    this.#say(true);
  }

  close(): void {
    this.#ending.abort();
    this.#leave();
    this.#off();
    clearInterval(this.#timer);
    document.removeEventListener("visibilitychange", this.#saySoon);
    window.removeEventListener("pagehide", this.#leave);
    this.#source?.close();
    this.#channel.close();
  }

  /** Keep the stream from the moment on when no other tab does. */
  async #lead(): Promise<void> {
    const over = new Promise<void>((done) => this.#ending.signal.addEventListener("abort", () => done()));
    const begin = () => {
      this.#source = new Source((message) => {
        if (!this.#ending.signal.aborted) this.#channel.postMessage(message);
        this.#take(message);
      });
      this.#channel.postMessage({ kind: "who" } satisfies Message);
      this.#say(true);
      return over;
    };
    if (!("locks" in navigator)) {
      await begin();
      return;
    }
    try {
      await navigator.locks.request(NAME, { signal: this.#ending.signal }, begin);
    } catch {
      // The tab was closed before its turn.
    }
  }

  readonly #saySoon = (): void => {
    if (this.#isSaying) return;
    this.#isSaying = true;
    setTimeout(() => {
      this.#isSaying = false;
      if (!this.#ending.signal.aborted) this.#say(false);
    }, 50);
  };

  readonly #leave = (): void => this.#post([]);

  #say(isDue: boolean): void {
    const subjects = document.visibilityState === "visible" ? this.#shown() : [];
    const text = JSON.stringify(subjects);
    if (!isDue && text === this.#said) return;
    this.#said = text;
    this.#post(subjects);
  }

  #post(subjects: Subject[]): void {
    const message: Message = { kind: "shows", tab: this.#id, subjects };
    this.#channel.postMessage(message);
    this.#source?.show(message.tab, subjects);
  }

  #shown(): Subject[] {
    const found = new Set<Subject>();
    for (const query of this.#queries.getQueryCache().getAll()) {
      const subject = query.isActive() ? subjectOf(query.queryKey, filterOf) : undefined;
      if (subject) found.add(subject);
    }
    return [...found].sort();
  }

  #take(message: Message): void {
    switch (message.kind) {
      case "who":
        return this.#say(true);
      case "shows":
        return this.#source?.show(message.tab, message.subjects);
      case "state":
        // What waited for the stream is asked for again, and every few seconds from then on.
        if (isLive !== message.isLive) {
          setLive(message.isLive);
          if (!isLive) void this.#queries.invalidateQueries();
        }
        return;
      case "reload":
        for (const subject of this.#shown()) this.#changed.add(subject);
        return void this.#ask();
      case "changed":
        this.#changed.add(message.subject);
        return void this.#ask();
    }
  }

  /** Ask again for all that has changed, and once more for what changes meanwhile. */
  async #ask(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (this.#changed.size && !this.#ending.signal.aborted) {
      const changed = new Set(this.#changed);
      this.#changed.clear();
      const began = performance.now();
      await this.#queries.invalidateQueries({
        predicate: (query) => {
          const subject = subjectOf(query.queryKey, filterOf);
          return subject !== undefined && changed.has(subject);
        },
      });
      const pause = Math.max(PAUSE_MS, PAUSE_SHARE * (performance.now() - began));
      await new Promise((done) => setTimeout(done, pause));
    }
    this.#isAsking = false;
  }
}

/** The stream, with the subjects of all tabs. */
class Source {
  readonly #pass: (message: Message) => void;
  readonly #tabs = new Map<string, { subjects: Subject[]; at: number }>();
  readonly #watch: ReturnType<typeof setInterval>;
  #source: EventSource | undefined;
  #opened = "";
  #after = "";
  #heardAt = 0;
  #opening: ReturnType<typeof setTimeout> | undefined;

  constructor(pass: (message: Message) => void) {
    this.#pass = pass;
    this.#watch = setInterval(() => this.#check(), REOPEN_MS);
  }

  show(tab: string, subjects: Subject[]): void {
    if (subjects.length) this.#tabs.set(tab, { subjects, at: Date.now() });
    else this.#tabs.delete(tab);
    this.#pass({ kind: "state", isLive: this.#source?.readyState === EventSource.OPEN });
    this.#openSoon();
  }

  close(): void {
    clearInterval(this.#watch);
    clearTimeout(this.#opening);
    this.#source?.close();
  }

  #check(): void {
    const now = Date.now();
    for (const [tab, { at }] of this.#tabs) if (now - at > GONE_MS) this.#tabs.delete(tab);
    const isBroken = this.#source?.readyState === EventSource.CLOSED || now - this.#heardAt > SILENT_MS;
    if (isBroken) this.#opened = "";
    this.#openSoon();
  }

  /** Open another stream when the subjects are others: a moment later, as several come at a time. */
  #openSoon(): void {
    clearTimeout(this.#opening);
    this.#opening = setTimeout(() => this.#open(), 50);
  }

  #open(): void {
    const subjects = new Set([...this.#tabs.values()].flatMap((tab) => tab.subjects));
    const wanted = [...subjects].sort().slice(0, 100);
    const query = streamQuery(wanted, "");
    if (query === this.#opened) return;
    this.#opened = query;
    this.#source?.close();
    this.#source = undefined;
    if (!wanted.length) return;
    const isFirst = this.#after === "";
    this.#heardAt = Date.now();
    const source = new EventSource(new URL(`api/v1/live?${streamQuery(wanted, this.#after)}`, document.baseURI));
    this.#source = source;
    for (const event of EVENTS) source.addEventListener(event, (message) => this.#take(source, event, message, isFirst));
    source.onerror = () => {
      if (source === this.#source) this.#pass({ kind: "state", isLive: false });
    };
  }

  #take(source: EventSource, event: (typeof EVENTS)[number], message: MessageEvent<string>, isFirst: boolean): void {
    if (source !== this.#source) return;
    this.#heardAt = Date.now();
    if (message.lastEventId) this.#after = message.lastEventId;
    if (event === "hello") this.#pass({ kind: "state", isLive: true });
    // Without an id to go on from, what was asked for before the stream may be old.
    if (event === "reload" || (event === "hello" && isFirst)) this.#pass({ kind: "reload" });
    const subject = subjectOfEvent(event, JSON.parse(message.data) as { run?: string; list?: string });
    if (subject) this.#pass({ kind: "changed", subject });
  }
}
