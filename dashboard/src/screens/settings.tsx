/** Settings of this browser, and what the server runs with. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { get } from "../api/client";
import type { SettingRows } from "../api/models";
import { Seg, Switch } from "../parts/basics";
import { areKeysOff, setKeysOff } from "../parts/keys";
import { setTheme, theme } from "../parts/theme";
import { SignOut, useMay } from "../shell/session";
import { Tokens } from "./tokens";

export function Settings() {
  const [chosen, choose] = useState(theme);
  const [areOff, setOff] = useState(areKeysOff);
  return (
    <div className="page__scroll" tabIndex={0} role="region" aria-label="Settings">
      <div className="over">
        <h1>Settings</h1>
        <section>
          <h2 className="sec__h">This browser</h2>
          <dl className="kv kv--wide">
            <dt>Theme</dt>
            <dd>
              <Seg
                label="Theme"
                value={chosen}
                options={[
                  ["system", "As the system"],
                  ["light", "Light"],
                  ["dark", "Dark"],
                ]}
                onChange={(next) => {
                  setTheme(next);
                  choose(next);
                }}
              />
            </dd>
            <dt>Keys of one letter</dt>
            <dd>
              <Switch
                on={!areOff}
                label="Keys of one letter"
                onChange={() => {
                  setKeysOff(!areOff);
                  setOff(!areOff);
                }}
              />
            </dd>
          </dl>
        </section>
        <section>
          <h2 className="sec__h">You</h2>
          <SignOut />
        </section>
        <Tokens />
        <OfServer />
      </div>
    </div>
  );
}

/** The effective settings of the API's process, for administrators. */
function OfServer() {
  const isAdmin = useMay("admin");
  const [text, setText] = useState("");
  const rows = useQuery({
    queryKey: ["settings"],
    queryFn: ({ signal }) => get<SettingRows>("settings", {}, signal),
    enabled: isAdmin,
    refetchInterval: false,
  });
  if (!rows.data) return null;
  const shown = rows.data.settings.filter((row) => `${row.path} ${row.description}`.toLowerCase().includes(text.toLowerCase()));
  return (
    <section>
      <div className="sect__head">
        <h2>The server</h2>
        <span className="count">{rows.data.settings.length} settings, secrets masked</span>
      </div>
      <input
        className="input"
        data-find
        aria-label="Find a setting"
        placeholder="Find a setting"
        value={text}
        onChange={(event) => setText(event.target.value)}
      />
      <table className="tbl">
        <thead>
          <tr>
            <th scope="col" className="w-state">
              Setting
            </th>
            <th scope="col" className="w-run">
              Value
            </th>
            <th scope="col" className="w-time from-768">
              Origin
            </th>
            <th scope="col" className="from-768">
              What it does
            </th>
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => (
            <tr key={row.path}>
              <td className="mono" title={row.path}>
                {row.path}
              </td>
              <td className="mono" title={row.value}>
                {row.value}
              </td>
              <td className="q3 from-768">{row.origin}</td>
              <td className="q2 from-768" title={row.description}>
                {row.description}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
