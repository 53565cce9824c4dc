// A partner's first consumer: one JSON line for every appointment event, each event once.
//
//   node dist/consumer.js [--once]
//
// KAFKA, REGISTRY, GROUP and PREFIX say where and as whom. With --once it reads to where the topic
// ends now and leaves; without, it stays and goes on where its group stopped.

import { SchemaRegistry } from '@kafkajs/confluent-schema-registry'
import { Kafka, logLevel, type KafkaMessage } from 'kafkajs'

interface Appointment {
  appointment_id: string
  patient_id: string | null
  practitioner_id: string | null
  starts_at: number | Date | null
  ends_at: number | Date | null
  status: string | null
  modality: string | null
}

const setting = (name: string, fallback: string) => process.env[name] || fallback
const once = process.argv.includes('--once')
const topic = `${setting('PREFIX', '')}domain.scheduling`

const kafka = new Kafka({
  clientId: 'partner',
  brokers: setting('KAFKA', '127.0.0.1:9092').split(','),
  logLevel: logLevel.ERROR,
})
const registry = new SchemaRegistry({
  host: setting('REGISTRY', 'http://127.0.0.1:8085/apis/ccompat/v7'),
})

const header = (message: KafkaMessage, name: string): string =>
  message.headers?.[name]?.toString() ?? ''

// The last number seen of each unit: a number that is not greater is a repeat after a fail-over.
// A partner keeps these beside what it does with the events.
const seen = new Map<string, [number, number]>()

const isNew = (unit: string, epoch: number, seq: number): boolean => {
  const last = seen.get(unit)
  if (last && (epoch < last[0] || (epoch === last[0] && seq <= last[1]))) return false
  seen.set(unit, [epoch, seq])
  return true
}

const show = async (message: KafkaMessage): Promise<void> => {
  const type = header(message, 'ce_type')
  const unit = message.key?.toString() ?? ''
  const [epoch, seq] = [header(message, 'ce_unitepoch'), header(message, 'ce_unitseq')]
  if (!isNew(unit, Number(epoch), Number(seq))) return
  if (!type.startsWith('scheduling.appointment_') || !message.value) return
  const it: Appointment = await registry.decode(message.value)
  const starts = it.starts_at === null ? null : new Date(it.starts_at).toISOString()
  const line = { id: header(message, 'ce_id'), type, unit, seq: `${epoch}-${seq}` }
  console.log(JSON.stringify({ ...line, ...it, starts_at: starts, ends_at: undefined }))
}

// What is left to read of each partition, for --once.
const remaining = async (): Promise<Map<number, bigint>> => {
  const admin = kafka.admin()
  await admin.connect()
  const partitions = await admin.fetchTopicOffsets(topic)
  await admin.disconnect()
  const left = partitions.filter(({ high, low }) => BigInt(high) > BigInt(low))
  return new Map(left.map(({ partition, high }) => [partition, BigInt(high) - 1n]))
}

const consumer = kafka.consumer({ groupId: setting('GROUP', 'partner-example') })
const ends = once ? await remaining() : undefined
if (ends?.size === 0) process.exit(0)

await consumer.connect()
await consumer.subscribe({ topic, fromBeginning: true })
const finished = new Promise<void>((finish, fail) => {
  consumer.on(consumer.events.CRASH, ({ payload }) => fail(payload.error))
  void consumer.run({
    eachMessage: async ({ partition, message }) => {
      await show(message)
      const end = ends?.get(partition)
      if (end !== undefined && BigInt(message.offset) >= end) ends?.delete(partition)
      if (ends?.size === 0) finish()
    },
  })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => void consumer.disconnect().then(() => process.exit(0)))
}
await finished
await consumer.disconnect()
