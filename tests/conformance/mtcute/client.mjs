// mtcute against a sandbox: another language, another MTProto, other TL classes.
//
//   node --require ./guard.cjs client.mjs --place PLACE --phone PHONE --channel CHANNEL [--password PASSWORD] [--download]
//
// PLACE is the first line of `telewarden sandbox`. It makes a key, signs in (with --password if asked for one), reads the
// channel to its first post, waits for pushes and with --download gets the newest photo; stdout is one line of JSON.

import { createHash } from 'node:crypto'
import { format as formatLog, parseArgs } from 'node:util'

import { MemoryStorage } from '@mtcute/core'
import { LogManager, parsePublicKey } from '@mtcute/core/utils.js'
import { TelegramClient } from '@mtcute/node'
import { NodeCryptoProvider } from '@mtcute/node/utils.js'

// Not exported, and addPublicKey() is no way in: it files a key under 16 digits, while a fingerprint that begins with
// zeros is looked up under fewer, which is one server key in sixteen.
import { __publicKeyIndex } from './node_modules/@mtcute/core/tl/binary/rsa-keys.js'

const DEADLINE = 60_000
const PUSHED = 'Conformance: a post that is pushed'
const EDITED = 'Conformance: the same post, edited'

if (globalThis.refusedAddresses === undefined) throw new Error('start this with --require ./guard.cjs')

const { values: options } = parseArgs({
    options: {
        place: { type: 'string' },
        phone: { type: 'string' },
        channel: { type: 'string' },
        password: { type: 'string' },
        download: { type: 'boolean', default: false },
    },
})
const place = JSON.parse(options.place)

// The sandbox's key alone is known from here on.
function trust(crypto, pem) {
    const key = parsePublicKey(crypto, pem)
    for (const known of Object.keys(__publicKeyIndex)) delete __publicKeyIndex[known]
    __publicKeyIndex[key.fingerprint.replace(/^0+/, '')] = key
}

async function control(path, body) {
    const init = body && { method: 'POST', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const answer = await fetch(place.control + path, init)
    if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`)
    return answer.json()
}

// The next thing that an emitter tells and `fits`.
function next(emitter, fits) {
    return new Promise((resolve) => {
        const listener = (value) => {
            if (!fits(value)) return
            emitter.remove(listener)
            resolve(value)
        }
        emitter.add(listener)
    })
}

// What the client understood of a post, in the words of the ledger.
function told(message) {
    const post = { id: message.id, date: seconds(message.date), service: message.isService }
    if (message.isService) return post
    return {
        ...post,
        text: message.text,
        entities: message.entities.map(({ raw }) => [raw._.replace(/^m/, 'M'), raw.offset, raw.length]),
        edited: seconds(message.editDate),
        media: message.media?.type ?? null,
        grouped_id: message.groupedId?.toString() ?? null,
        reply_to: message.replyToMessage?.id ?? null,
        views: message.views,
        forwards: message.forwards,
        reactions: Object.fromEntries((message.reactions?.reactions ?? []).map(({ emoji, count }) => [emoji, count])),
    }
}

function seconds(date) {
    return date && date.getTime() / 1000
}

async function use(client) {
    const begun = performance.now()
    const user = await client.start({
        phone: options.phone,
        code: async () => (await control(`/codes/${options.phone}`)).code,
        password: options.password,
        codeSentCallback: () => {},
    })
    const signedIn = performance.now()

    const posts = []
    let photo = null
    for await (const message of client.iterHistory(options.channel)) {
        posts.push(told(message))
        if (message.media?.type === 'photo') photo ??= message
    }
    const read = performance.now()

    const isPost = (message) => message.text === PUSHED
    const pushed = next(client.onNewMessage, isPost)
    const { ids: [id] } = await control('/posts', { channel: options.channel, text: PUSHED })
    const post = told(await pushed)
    const edited = next(client.onEditMessage, (message) => message.id === id)
    await control('/edits', { channel: options.channel, id, text: EDITED })
    const edit = told(await edited)
    const deleted = next(client.onDeleteMessage, (update) => update.messageIds.includes(id))
    await control('/deletes', { channel: options.channel, ids: [id] })
    const { messageIds } = await deleted

    let file = null
    if (options.download) {
        const bytes = await client.downloadAsBuffer(photo.media)
        const sha256 = createHash('sha256').update(bytes).digest('hex')
        file = { post: photo.id, size: bytes.length, sha256 }
    }
    return {
        user: user.id,
        posts,
        pushed: post,
        edited: edit,
        deleted: [...messageIds],
        file,
        seconds: { sign_in: Math.round(signedIn - begun) / 1000, history: Math.round(read - signedIn) / 1000 },
    }
}

const crypto = new NodeCryptoProvider()
trust(crypto, place.dc.public_key)
const dc = { id: place.dc.id, ipAddress: place.dc.address, port: place.dc.port }
const client = new TelegramClient({
    apiId: 1,
    apiHash: 'hash',
    storage: new MemoryStorage(),
    crypto,
    defaultDcs: { main: dc, media: dc },
})
// What the client only logs: it would ask again, or connect again, and be content in the end.
const complaints = []
// Its own slip: an auth key that begins with a zero byte, one in 256, is written a byte short, so that the hash doesn't
// fit. It makes another then; a sandbox that is wrong is wrong again.
const SHORT_KEY = 'Step 4: invalid nonce hash from server'
let connections = 0
let shortKeys = 0
client.log.mgr.handler = (_color, level, tag, format, values) => {
    const line = `[${tag}] ${formatLog(format, ...values)}`
    process.stderr.write(`${line}\n`)
    if (level <= LogManager.WARN && !line.includes(SHORT_KEY)) complaints.push(line)
}
client.onConnectionState.add((state) => {
    if (state === 'connecting' && ++connections > 1 + shortKeys) complaints.push('connecting again')
})
const failed = new Promise((_, reject) => {
    client.onError.add((error) => {
        if (error.message !== SHORT_KEY || ++shortKeys > 2) reject(error)
    })
    setTimeout(() => reject(new Error(`not done after ${DEADLINE} ms`)), DEADLINE).unref()
})

const result = await Promise.race([use(client), failed])
await client.destroy()
process.stdout.write(`${JSON.stringify({ ...result, complaints, refused: globalThis.refusedAddresses })}\n`)
