/** The lanes of a run over an axis that folds quiet time. A virtual list: ten thousand lanes scroll like ten. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";

import { Icon, Seg } from "../parts/basics";
import { useIsNarrow } from "../parts/window";
import { axis, type Axis } from "../pure/axis";
import type { Bar, Lane, Picture, Spent as Share } from "../pure/lanes";
import { look } from "../pure/look";
import { marks, type Deployed, type Mark as Deploy } from "../pure/marks";
import { duration, precise } from "../pure/time";

const HEIGHT = 28;
/** Pixels of a character at the size of labels; generous, since fonts differ. */
const CHARACTER = 6.6;

interface Props {
  picture: Picture;
  /** Versions of the workflow: those registered meanwhile are marked. */
  deployed: readonly Deployed[];
  /** When the run was created: the axis of a run in which nothing has begun. */
  created: number;
  now: number;
  isOver: boolean;
  selected?: string;
  fold: boolean;
  onFold: (fold: boolean) => void;
  onSelect: (name: string) => void;
  onToggle: (name: string) => void;
}

export function Timeline(props: Props) {
  const { created, selected } = props;
  const { lanes, moments, spent } = props.picture;
  const head = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(600);
  useLayoutEffect(() => {
    const box = head.current;
    if (!box) return;
    const watcher = new ResizeObserver(() => setWidth(Math.max(80, box.clientWidth)));
    watcher.observe(box);
    return () => watcher.disconnect();
  }, []);
  const made = useMemo(
    () =>
      axis(moments.length ? moments : [created], {
        width: width * ROOM,
        fold: props.fold,
        band: (ms) => duration(ms).length * CHARACTER + 16,
      }),
    [moments, created, width, props.fold],
  );
  const found = useMemo(() => marks(props.deployed, made.from, made.to, made.x), [props.deployed, made]);
  const isNarrow = useIsNarrow();
  const virtual = useVirtualizer({
    count: lanes.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (isNarrow ? 44 : HEIGHT),
    overscan: 8,
  });
  // Heights are kept by the list until it is told that they are others.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  useEffect(() => virtual.measure(), [isNarrow]);
  const place = lanes.findIndex((lane) => lane.name === selected);
  useEffect(() => {
    if (place >= 0) virtual.scrollToIndex(place, { align: "auto" });
    // The virtualizer is one object for the life of the list.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [place]);

  return (
    <section className="tl grow" aria-label="Timeline">
      <div className="tl__bar">
        <Seg
          label="Time axis"
          value={props.fold ? "fold" : "scale"}
          options={[
            ["fold", "Fold quiet time"],
            ["scale", "To scale"],
          ]}
          onChange={(value) => props.onFold(value === "fold")}
        />
        {found.map((each) => (
          <span key={each.at} className="s1 q3 phone-off">
            {precise(each.at).slice(0, 8)} {each.text}
          </span>
        ))}
        <Legend />
      </div>
      <div className="tl__table" role="table" aria-label="Steps on a time axis; folded stretches are shaded" aria-rowcount={lanes.length + 1}>
        <div role="rowgroup">
          <div className="tl__row tl__axis" role="row" aria-rowindex={1}>
            <div className="tl__name q3 s1" role="columnheader">
              Step
            </div>
            <div role="columnheader" ref={head}>
              <span className="vh">Time</span>
              <Head made={made} found={found} isOver={props.isOver} />
            </div>
          </div>
        </div>
        <div className="scroll grow" role="rowgroup" ref={scroller} tabIndex={0} aria-label="Steps">
          <div className="tl__lanes" role="presentation" style={{ height: virtual.getTotalSize() }}>
            {virtual.getVirtualItems().map((item) => {
              const lane = lanes[item.index]!;
              return (
                <Row
                  key={lane.name}
                  lane={lane}
                  index={item.index}
                  top={item.start}
                  made={made}
                  found={found}
                  width={width}
                  isSelected={lane.name === selected}
                  onSelect={props.onSelect}
                  onToggle={props.onToggle}
                />
              );
            })}
          </div>
        </div>
      </div>
      <Spent parts={spent} />
    </section>
  );
}

/** The share of the width that is time; the rest is for words behind the last bar. */
const ROOM = 0.88;

function percent(x: number): string {
  return `${(x * ROOM * 100).toFixed(3)}%`;
}

function Head({ made, found, isOver }: { made: Axis; found: readonly Deploy[]; isOver: boolean }) {
  return (
    <svg className="lane" role="presentation" aria-hidden="true">
      <Quiet made={made} />
      <Marks found={found} />
      {made.ticks.map((tick) => (
        <g key={tick.at}>
          <line className="edge" x1={percent(tick.x)} x2={percent(tick.x)} y1="26" y2="35" />
          <text x={percent(tick.x)} dx="4" y="30">
            {tick.label}
          </text>
        </g>
      ))}
      {made.segments.map((each) =>
        each.folded ? (
          <text key={each.from} className="t-ink" x={percent((each.left + each.right) / 2)} y="13" textAnchor="middle">
            {duration(each.to - each.from)}
          </text>
        ) : each.right - each.left > 0.12 ? (
          <text key={each.from} x={percent(each.left)} dx="4" y="13">
            {precise(each.from).slice(0, 8)}
          </text>
        ) : null,
      )}
      {!isOver && (
        <text className="t-ink" x={percent(1)} dx="4" y="30">
          now
        </text>
      )}
    </svg>
  );
}

const Quiet = memo(function Quiet({ made }: { made: Axis }) {
  return made.segments.map((each) =>
    each.folded ? (
      <rect key={each.from} className="quiet" x={percent(each.left)} y="0" width={percent(each.right - each.left)} height="100%" />
    ) : null,
  );
});

const Marks = memo(function Marks({ found }: { found: readonly Deploy[] }) {
  return found.map((each) => (
    <line key={each.at} className="mark" x1={percent(each.x)} x2={percent(each.x)} y1="0" y2="100%">
      <title>{each.text}</title>
    </line>
  ));
});

interface RowProps {
  lane: Lane;
  index: number;
  top: number;
  made: Axis;
  found: readonly Deploy[];
  width: number;
  isSelected: boolean;
  onSelect: (name: string) => void;
  onToggle: (name: string) => void;
}

const Row = memo(function Row({ lane, index, top, made, found, width, isSelected, onSelect, onToggle }: RowProps) {
  const { icon, hue } = look(lane.status, lane.word);
  return (
    <div
      className="tl__row"
      role="row"
      aria-rowindex={index + 2}
      aria-selected={isSelected || undefined}
      style={{ transform: `translateY(${top}px)` }}
      onClick={() => onSelect(lane.name)}
    >
      <div className="tl__name" role="rowheader" style={{ "--depth": lane.depth } as React.CSSProperties}>
        {lane.hasMembers && (
          <button
            type="button"
            className="tw"
            aria-label={`${lane.isFolded ? "Show" : "Fold"} ${lane.name}`}
            aria-expanded={!lane.isFolded}
            onClick={(event) => {
              event.stopPropagation();
              onToggle(lane.name);
            }}
          >
            <Icon name={lane.isFolded ? "right" : "down"} className="i-12" />
          </button>
        )}
        <Icon name={icon} className={`fg ${hue}`} label={lane.status} />
        <button type="button" className={`id cut lane__pick ${isSelected ? "str" : ""}`} title={lane.name} onClick={() => onSelect(lane.name)}>
          {lane.label}
        </button>
        <span className="tl__kind">{lane.kind}</span>
      </div>
      <div role="cell">
        <span className="vh">{lane.text}</span>
        <svg className="lane" aria-hidden="true">
          <Quiet made={made} />
          <Marks found={found} />
          {lane.bars.map((bar, i) => (
            <Mark key={i} bar={bar} made={made} />
          ))}
          <Label lane={lane} made={made} width={width} />
        </svg>
      </div>
    </div>
  );
});

function Mark({ bar, made }: { bar: Bar; made: Axis }) {
  const left = made.x(bar.from);
  const wide = made.x(bar.to) - left;
  const at = { x: percent(left), width: percent(wide) };
  const least = { width: `max(4px, ${percent(wide)})` };
  switch (bar.kind) {
    case "gap":
      return <line className={`bar--gap ${bar.hue}`} x1={at.x} x2={percent(left + wide)} y1="14" y2="14" />;
    case "group":
      return <rect className="bar--group" x={at.x} y="13" height="2" style={least} />;
    case "wait":
      return (
        <>
          <rect className={`bar--wait ${bar.hue}`} x={at.x} y="9.5" height="9" rx="2" style={least} />
          <rect className={bar.hue} x={at.x} y="9.5" height="9" rx="2" fill={`url(#stripe-${bar.hue})`} style={least} />
        </>
      );
    case "miss":
      return (
        <>
          <rect className={`bar--miss ${bar.hue}`} x={at.x} y="9.5" height="9" rx="2" style={least} />
          {wide > 0.03 && (
            <svg x={at.x} y="9" overflow="visible" className={bar.hue}>
              <path className="bar--x" d="m5.5 2.75 4.5 4.5m0-4.5-4.5 4.5" />
            </svg>
          )}
        </>
      );
    default:
      return <rect className={`bar ${bar.kind === "live" ? "bar--live" : ""} ${bar.hue}`} x={at.x} y="9" height="10" rx="2" style={least} />;
  }
}

/** Words beside the bars: behind them, or before them where there is no room. */
function Label({ lane, made, width }: { lane: Lane; made: Axis; width: number }) {
  if (!lane.text) return null;
  const first = lane.bars[0];
  const last = lane.bars.at(-1);
  const tone = lane.hue ? `${lane.hue} t-fg` : "";
  const needed = lane.text.length * CHARACTER;
  if (!first || !last) {
    return (
      <text x={percent(1)} y="18" textAnchor="end" className={tone}>
        {lane.text}
      </text>
    );
  }
  const right = Math.max(made.x(last.to) * ROOM * width, made.x(first.from) * ROOM * width + 4);
  const left = made.x(first.from) * ROOM * width;
  const isBefore = right + needed + 10 > width && left - needed > 10;
  // Where there is no room on either side, the duration alone is said; the panel says the rest.
  const text = right + needed + 10 > width && !isBefore ? lane.text.split(", ")[0]! : lane.text;
  return isBefore ? (
    <text x={left} dx="-7" y="18" textAnchor="end" className={tone}>
      {lane.text}
    </text>
  ) : (
    <text x={Math.min(right, Math.max(0, width - text.length * CHARACTER - 10))} dx="7" y="18" className={tone}>
      {text}
    </text>
  );
}

function Legend() {
  return (
    <div className="right leg s1 q3" aria-hidden="true">
      <span>
        <svg width="20" height="10">
          <rect className="bar green" width="20" height="10" rx="2" />
        </svg>
        attempt
      </span>
      <span>
        <svg width="20" height="10">
          <rect className="bar--miss red" x=".5" y=".5" width="19" height="9" rx="2" />
          <path className="bar--x red" d="m7.75 2.75 4.5 4.5m0-4.5-4.5 4.5" />
        </svg>
        failed, retried
      </span>
      <span>
        <svg width="20" height="10">
          <rect className="bar--wait violet" x=".5" y=".5" width="19" height="9" rx="2" />
          <rect width="20" height="10" fill="url(#stripe-violet)" />
        </svg>
        wait
      </span>
      <span>
        <svg width="20" height="10">
          <line className="bar--gap amber" x1="0" x2="20" y1="5" y2="5" />
        </svg>
        back-off
      </span>
      <span>
        <svg width="20" height="10">
          <rect className="bar--fold" width="20" height="10" />
        </svg>
        folded
      </span>
    </div>
  );
}

function Spent({ parts }: { parts: readonly Share[] }) {
  const sum = parts.reduce((total, each) => total + each.millis, 0);
  if (!sum) return null;
  return (
    <div className="spent phone-off">
      <div className="facts">
        <h2 className="s2">Time spent</h2>
        {parts.map((each) => (
          <span key={each.word} className="row">
            <svg width="10" height="10" aria-hidden="true">
              <rect className={`${each.kind === "solid" ? "bar" : "bar--wait"} ${each.hue}`} x=".5" y=".5" width="9" height="9" rx="2" />
            </svg>
            <span className="q3">{each.word}</span> {duration(each.millis)}
          </span>
        ))}
      </div>
      <div className="spent__bar" aria-hidden="true">
        {parts.map((each) => (
          <span key={each.word} className={`${each.hue} ${each.kind === "solid" ? "" : "is-wait"}`} style={{ flexGrow: each.millis / sum }} />
        ))}
      </div>
    </div>
  );
}
