// Types for a frontend, by GraphQL Code Generator: node generate.mjs SCHEMA CONFIG FOLDER
// documents.graphql of the folder becomes operations.ts, and the schema itself types.ts.
import { readFileSync, writeFileSync } from 'node:fs';
import { codegen } from '@graphql-codegen/core';
import * as documentNode from '@graphql-codegen/typed-document-node';
import * as typescript from '@graphql-codegen/typescript';
import * as operations from '@graphql-codegen/typescript-operations';
import { buildSchema, parse, printSchema } from 'graphql';

const [schemaFile, configFile, folder] = process.argv.slice(2);
const schema = parse(printSchema(buildSchema(readFileSync(schemaFile, 'utf8'))));
const config = JSON.parse(readFileSync(configFile, 'utf8'));
const document = parse(readFileSync(`${folder}/documents.graphql`, 'utf8'));

for (const [name, documents, pluginMap] of [
  ['types.ts', [], { typescript }],
  ['operations.ts', [{ location: 'documents.graphql', document }], { operations, documentNode }],
]) {
  const plugins = Object.keys(pluginMap).map((plugin) => ({ [plugin]: {} }));
  writeFileSync(`${folder}/${name}`, await codegen({ schema, documents, filename: name, config, plugins, pluginMap }));
}
