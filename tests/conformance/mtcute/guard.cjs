// Shuts every way out of this process but loopback, before the client is loaded: node --require ./guard.cjs
'use strict'

const { Socket: Datagrams } = require('node:dgram')
const dns = require('node:dns')
const { syncBuiltinESMExports } = require('node:module')
const net = require('node:net')
const tls = require('node:tls')

// What was tried; a client may have swallowed the refusal.
const refused = []
globalThis.refusedAddresses = refused

const loopback = new net.BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')

function isLoopback(host) {
    if (host === undefined || host === null || host === '' || host === 'localhost') return true
    const family = net.isIP(host)
    return family !== 0 && loopback.check(host, family === 6 ? 'ipv6' : 'ipv4')
}

function judge(door, host) {
    if (isLoopback(host)) return
    refused.push(`${door} ${host}`)
    throw new Error(`outside refused: ${door} ${host}`)
}

function guard(owner, name, hostOf) {
    const inner = owner[name]
    if (typeof inner !== 'function') return
    owner[name] = function guarded(...args) {
        judge(name, hostOf(args))
        return Reflect.apply(inner, this, args)
    }
}

// connect(options), connect(port, host), connect(path), and the list that net.connect() has made of these.
function hostOfConnect(args) {
    const [first, second] = Array.isArray(args[0]) ? args[0] : args
    if (typeof first === 'object' && first !== null) return first.path ? undefined : first.host
    return typeof second === 'string' ? second : undefined
}

guard(net.Socket.prototype, 'connect', hostOfConnect)
guard(tls, 'connect', hostOfConnect)
guard(Datagrams.prototype, 'connect', ([, address]) => (typeof address === 'string' ? address : undefined))
guard(Datagrams.prototype, 'send', (args) => args.findLast((each) => typeof each === 'string' && each !== args[0]))

for (const owner of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype]) {
    for (const name of Object.getOwnPropertyNames(owner)) {
        if (/^(lookup|resolve|reverse)/.test(name)) guard(owner, name, ([host]) => host)
    }
}

// Or `import { lookup } from 'node:dns'` would still get the unguarded one.
syncBuiltinESMExports()
