/** What stands around every screen: navigation, top bar, palette, keys. */

import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { useEffect, useMemo, useState } from "react";

import { useIsLive, useLive } from "../api/live";
import { Icon, Kbd } from "../parts/basics";
import { useNow } from "../parts/clock";
import { Dialog } from "../parts/dialog";
import { useKeys } from "../parts/keys";
import { Sprite, type IconName } from "../parts/sprite";
import { setTheme, theme, type Theme } from "../parts/theme";
import { zone } from "../pure/time";
import { useIsLost } from "./live";
import { isSignedOut, SignIn, useMe } from "./session";
import { Palette, useCommands, type Command } from "./palette";

interface Place {
  to: "/" | "/runs" | "/inputs" | "/workflows" | "/schedules" | "/triggers" | "/operations" | "/stream" | "/gates" | "/admissions" | "/workers" | "/later" | "/doctor" | "/settings";
  title: string;
  icon: IconName;
  key: string;
}

const PLACES: readonly Place[] = [
  { to: "/", title: "Overview", icon: "overview", key: "g o" },
  { to: "/runs", title: "Runs", icon: "runs", key: "g r" },
  { to: "/inputs", title: "Inputs", icon: "inbox", key: "g i" },
  { to: "/workflows", title: "Workflows", icon: "workflows", key: "g w" },
  { to: "/schedules", title: "Schedules", icon: "schedules", key: "g s" },
  { to: "/triggers", title: "Triggers", icon: "k-event", key: "g e" },
  { to: "/stream", title: "Stream", icon: "stream", key: "g t" },
  { to: "/gates", title: "Gates", icon: "gates", key: "g g" },
  { to: "/admissions", title: "Admissions", icon: "fit", key: "g a" },
  { to: "/workers", title: "Workers", icon: "workers", key: "g k" },
  { to: "/later", title: "Later", icon: "k-sleep", key: "g l" },
  { to: "/operations", title: "Operations", icon: "updown", key: "g p" },
  { to: "/doctor", title: "Doctor", icon: "wrench", key: "g d" },
];
const SETTINGS: Place = { to: "/settings", title: "Settings", icon: "settings", key: "g ," };
const NEXT: Record<Theme, Theme> = { system: "dark", dark: "light", light: "system" };

export function Shell() {
  const navigate = useNavigate();
  const me = useMe();
  const path = useLocation({ select: (location) => location.pathname });
  const [isPaletteOpen, setPalette] = useState(false);
  const [areKeysShown, setKeysShown] = useState(false);
  const [isMenuOpen, setMenu] = useState(false);
  useEffect(() => {
    setMenu(false);
    const [, place, inner] = path.split("/");
    document.title = [inner && decodeURIComponent(inner), place || "overview", "stream_durable"].filter(Boolean).join(" · ");
  }, [path]);

  const places = useMemo(() => [...PLACES, SETTINGS], []);
  const commands: Command[] = places.map((place) => ({
    id: `go ${place.to}`,
    group: "Go to",
    title: place.title,
    hint: place.key,
    icon: place.icon,
    run: () => void navigate({ to: place.to }),
  }));
  useCommands(commands);
  const bindings: Record<string, () => void> = {
    "Ctrl k": () => setPalette(true),
    "/": () => {
      const field = document.querySelector<HTMLInputElement>("[data-find]");
      if (field) field.focus();
      else setPalette(true);
    },
    "?": () => setKeysShown(true),
  };
  for (const place of places) bindings[place.key] = () => void navigate({ to: place.to });
  useKeys(bindings);

  return (
    <div className="app">
      <a className="btn skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>
        Skip to content
      </a>
      <Sprite />
      <nav className={`side ${isMenuOpen ? "is-open" : ""}`} aria-label="Main">
        <div className="side__name">
          <svg className="side__mark" width="24" height="24" viewBox="0 0 24 24" aria-hidden="true">
            <rect width="24" height="24" rx="6" />
            <path d="M5 8h6M9 12h7M14 16h5" />
          </svg>
          <span>
            <b>stream_durable</b>
            <span>{location.host}</span>
          </span>
        </div>
        <div className="side__list">
          {PLACES.map((place) => (
            <Item key={place.to} place={place} path={path} />
          ))}
        </div>
        <div className="side__list side__foot">
          <Item place={SETTINGS} path={path} />
          <button type="button" className="side__item" title="Keyboard" aria-label="Keyboard" onClick={() => setKeysShown(true)}>
            <Icon name="keyb" />
            <span className="side__t">Keyboard</span>
            <span className="right">
              <Kbd>?</Kbd>
            </span>
          </button>
        </div>
      </nav>
      <div className="main">
        <Top onFind={() => setPalette(true)} onMenu={() => setMenu(!isMenuOpen)} isMenuOpen={isMenuOpen} path={path} />
        <main id="main" className="page" tabIndex={-1}>
          {isSignedOut(me.error) ? <SignIn /> : <Outlet />}
        </main>
      </div>
      {isPaletteOpen && <Palette onClose={() => setPalette(false)} />}
      {areKeysShown && <Keys places={places} onClose={() => setKeysShown(false)} />}
    </div>
  );
}

function Item({ place, path }: { place: Place; path: string }) {
  const isHere = place.to === "/" ? path === "/" : path === place.to || path.startsWith(`${place.to}/`);
  return (
    <Link to={place.to} activeOptions={{ exact: true }} className="side__item" title={place.title} aria-label={place.title} aria-current={isHere ? "page" : undefined}>
      <Icon name={place.icon} />
      <span className="side__t">{place.title}</span>
    </Link>
  );
}

function Top(props: { onFind: () => void; onMenu: () => void; isMenuOpen: boolean; path: string }) {
  const [, place, inner] = props.path.split("/");
  const title = place ? place.charAt(0).toUpperCase() + place.slice(1) : "Overview";
  return (
    <header className="top">
      <button
        type="button"
        className="btn btn--quiet btn--icon top__menu"
        aria-label="Menu"
        aria-expanded={props.isMenuOpen}
        onClick={props.onMenu}
      >
        <Icon name="menu" />
      </button>
      <nav className="crumbs grow" aria-label="Breadcrumb">
        {inner ? (
          <>
            <Link to={PLACES.find((each) => each.to === `/${place}`)?.to ?? "/"}>{title}</Link>
            <span className="sep" aria-hidden="true">
              /
            </span>
            <span aria-current="page" className="cut">
              {decodeURIComponent(inner)}
            </span>
          </>
        ) : (
          <span aria-current="page">{title}</span>
        )}
      </nav>
      <button type="button" className="top__find" onClick={props.onFind}>
        <Icon name="search" />
        <span>Search or jump to</span>
        <Kbd>Ctrl K</Kbd>
      </button>
      <Live />
      <Clock />
      <ThemeButton />
    </header>
  );
}

/** Whether the server answers, and changes are shown as they happen. */
function Live() {
  useLive();
  const isLost = useIsLost();
  const age = useIsLive() ? "Changes are shown as they happen" : "What is shown is at most 5 s old";
  return (
    <span className="live" role="status" title={isLost ? "The server does not answer; what is shown may be old" : age}>
      <span className={`live__dot ${isLost ? "live__dot--late" : ""}`} aria-hidden="true" />
      <span className="live__text">{isLost ? "Reconnecting" : "Live"}</span>
    </span>
  );
}

function Clock() {
  const now = new Date(useNow());
  return (
    <span className="s2 q3 nw top__zone">
      {zone()} <time className="tab">{now.toTimeString().slice(0, 8)}</time>
    </span>
  );
}

function ThemeButton() {
  const [chosen, choose] = useState(theme);
  const turn = () => {
    const next = NEXT[chosen];
    setTheme(next);
    choose(next);
  };
  return (
    <button type="button" className="btn btn--quiet btn--icon" aria-label={`Theme: ${chosen}`} title={`Theme: ${chosen}`} onClick={turn}>
      <Icon name="theme" />
    </button>
  );
}

const KEYS: readonly [string, string][] = [
  ["Ctrl K", "search and commands"],
  ["/", "the search of this screen"],
  ["?", "these keys"],
  ["j k", "next and previous row or step"],
  ["Enter", "open the row"],
  ["x", "select the row"],
  ["1 to 7", "the tabs of a run"],
  ["e", "the first failing step of a run"],
  ["t", "fold quiet time, or to scale"],
  ["r p c", "of a run: retry, pause or resume, cancel"],
  ["y", "copy the id of a run"],
];

function Keys({ places, onClose }: { places: readonly Place[]; onClose: () => void }) {
  const rows = [...KEYS, ...places.map((place) => [place.key, place.title] as const)];
  return (
    <Dialog title="Keyboard" onClose={onClose}>
      <dl className="keys">
        {rows.map(([keys, what]) => (
          <div key={keys} className="keys__row">
            <dt>
              {keys.split(" ").map((key, i) => (
                <Kbd key={i}>{key}</Kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
