// Reads an AsyncAPI file with the official parser; status 1 where it finds an error.

import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import process from 'node:process'

// Its packages are installed below target/, not beside this file.
const require = createRequire(`${process.argv[3]}/`)
const { Parser } = require('@asyncapi/parser')

const path = process.argv[2]
const { document, diagnostics } = await new Parser().parse(await readFile(path, 'utf8'), {
  source: path,
})
const ERROR = 0
const errors = diagnostics.filter(({ severity }) => severity === ERROR)
for (const { message, path: where } of errors) {
  console.error(`${path}: ${where.join('.')}: ${message}`)
}
if (errors.length > 0 || !document) process.exit(1)
const messages = document.allMessages().all().length
console.log(`${path}: AsyncAPI ${document.version()}, ${messages} messages, no error`)
