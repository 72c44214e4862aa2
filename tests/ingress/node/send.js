// Publishes messages on the events topic, in any mode, with nothing of ours: kafkajs, avsc and the published schemas.
// Reads lines of JSON, each a list of {mode, form, key, id, fields}, and answers "sent" to each.
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");
const avro = require("avsc");
const { Kafka, logLevel } = require("kafkajs");

const [bootstrap, topic, schemas] = process.argv.slice(2);
const JSONS = ["data", "input", "answer", "value", "error", "metadata", "attributes"];

/** The fingerprint of Avro's specification, CRC-64-AVRO, little-endian. */
function fingerprint(canonical) {
  const empty = 0xc15d213aa4d7a795n;
  let crc = empty;
  for (const byte of Buffer.from(canonical)) {
    let table = (crc ^ BigInt(byte)) & 0xffn;
    for (let bit = 0; bit < 8; bit++) {
      table = (table >> 1n) ^ (empty & -(table & 1n) & 0xffffffffffffffffn);
    }
    crc = (crc >> 8n) ^ table;
  }
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(crc);
  return bytes;
}

/** The parsing canonical form of a record: what is read, in the order of the specification. */
function canonical(schema) {
  if (typeof schema === "string") return JSON.stringify(schema);
  if (Array.isArray(schema)) return `[${schema.map(canonical).join(",")}]`;
  if (schema.type === "array") return `{"type":"array","items":${canonical(schema.items)}}`;
  const fields = schema.fields.map((f) => `{"name":${JSON.stringify(f.name)},"type":${canonical(f.type)}}`);
  return `{"name":"${schema.namespace}.${schema.name}","type":"record","fields":[${fields.join(",")}]}`;
}

function inAvro(form, fields) {
  const schema = JSON.parse(fs.readFileSync(path.join(schemas, `${form}.avsc`)));
  const texts = { ...fields };
  for (const name of JSONS) if (name in texts) texts[name] = JSON.stringify(texts[name]);
  const record = avro.Type.forSchema(schema, { wrapUnions: false }).clone(texts, { coerceBuffers: false });
  const body = avro.Type.forSchema(schema, { wrapUnions: false }).toBuffer(record);
  return Buffer.concat([Buffer.from([0xc3, 0x01]), fingerprint(canonical(schema)), body]);
}

/** What a CloudEvent says: events by their own name, other messages under one type. */
function cloudEvent(form, id, fields) {
  const common = { specversion: "1.0", id, source: "/shop" };
  if (form === "event") return { ...common, type: fields.type, subject: fields.key, data: fields.data };
  return { ...common, type: "stream_durable.message", data: fields };
}

function record({ mode, form, key, id, fields }) {
  if (mode === "json") return { key, value: JSON.stringify({ ...fields, message_id: id }) };
  if (mode === "avro") return { key, value: inAvro(form, { ...fields, message_id: id }) };
  const event = cloudEvent(form, id, fields);
  if (mode === "structured") {
    return { key, value: JSON.stringify(event), headers: { "content-type": "application/cloudevents+json" } };
  }
  const { data, ...attributes } = event;
  const headers = Object.fromEntries(Object.entries(attributes).map(([name, held]) => [`ce_${name}`, held]));
  if (mode === "binary avro" && form !== "event") {
    return { key, value: inAvro(form, data), headers: { ...headers, "content-type": "application/avro" } };
  }
  return { key, value: JSON.stringify(data), headers: { ...headers, "content-type": "application/json" } };
}

async function main() {
  const producer = new Kafka({ clientId: "shop", brokers: [bootstrap], logLevel: logLevel.NOTHING }).producer();
  await producer.connect();
  for await (const line of readline.createInterface({ input: process.stdin })) {
    for (const message of JSON.parse(line)) await producer.send({ topic, messages: [record(message)] });
    process.stdout.write("sent\n");
  }
  await producer.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
