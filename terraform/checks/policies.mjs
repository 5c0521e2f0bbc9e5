// The policies as Terraform renders them, asked call by call: what the agent and operators need is allowed, what they must
// not do is denied. Reads {calls, fleet} from standard input. The published evaluators do not know the tag calls of target
// groups, so the few rules of IAM that these policies use are here.
import { readFileSync } from 'node:fs'

const { calls, fleet } = JSON.parse(readFileSync(0, 'utf8'))
const account = '123456789012'
const group = fleet.target_group_arn
const other = group.replace(/targetgroup\/.*/, 'targetgroup/payments/0123456789abcdef')
const own = 'node-agent/lease/i-0123456789abcdef0'
const managed = { 'aws:ResourceTag/node-agent/managed': 'true' }
const keys = (...names) => ({ ...managed, 'aws:TagKeys': names })
const elb = (name) => `elasticloadbalancing:${name}`
const pinned = fleet.instance_policy_json.replaceAll('node-agent/lease/*', 'node-agent/lease/${aws:userid}')

const list = (value) => (Array.isArray(value) ? value : [value])
const like = (pattern, value) => new RegExp(`^${pattern.split('*').map((part) => part.replace(/[.?+^$(){}|[\]\\]/g, '\\$&')).join('.*')}$`).test(value)
const caller = { 'aws:userid': 'AROAEXAMPLE0123456789:i-0123456789abcdef0' }

// One operator, key and list of values against the request. ForAllValues holds for a request without the key.
const operators = {
  StringEquals: (wanted, had) => had.length === 1 && wanted.includes(had[0]),
  'ForAllValues:StringLike': (wanted, had) => had.every((value) => wanted.some((pattern) => like(pattern, value))),
  Null: (wanted, had) => wanted[0] === String(had.length === 0),
}

function holds(condition, context) {
  return Object.entries(condition ?? {}).every(([operator, tests]) => {
    if (!operators[operator]) throw new Error(`no rule for ${operator}`)
    return Object.entries(tests).every(([key, wanted]) =>
      operators[operator](list(wanted).map((text) => text.replace(/\$\{([^}]+)\}/g, (_, name) => caller[name])), context[key] === undefined ? [] : list(context[key])))
  })
}

function allows(policy, action, resource, context) {
  const statements = JSON.parse(policy).Statement.filter((statement) =>
    list(statement.Action).some((pattern) => like(pattern.toLowerCase(), action.toLowerCase()))
    && list(statement.Resource).some((pattern) => like(pattern, resource)) && holds(statement.Condition, context))
  return statements.length > 0 && statements.every((statement) => statement.Effect === 'Allow')
}

const ask = { AddTags: [group, keys(own)], RemoveTags: [group, keys(own)], RegisterTargets: [group, managed], DeregisterTargets: [group, managed] }
const table = [
  ...calls.map((call) => [fleet.instance_policy_json, elb(call), ...(ask[call] ?? ['*', {}]), true]),
  [fleet.instance_policy_json, 'sns:Publish', fleet.topic_arn, {}, true],
  [fleet.instance_policy_json, 's3:GetObject', `arn:aws:s3:::${fleet.artefact_bucket}/packages/node-agent.rpm`, {}, true],
  ...['RegisterTargets', 'DeregisterTargets'].flatMap((call) => [
    [fleet.instance_policy_json, elb(call), other, managed, false],
    [fleet.instance_policy_json, elb(call), group, {}, false],
    [fleet.operator_policy_json, elb(call), group, managed, false],
  ]),
  ...['AddTags', 'RemoveTags'].flatMap((call) => [
    [fleet.instance_policy_json, elb(call), other, keys(own), false],
    [fleet.instance_policy_json, elb(call), group, managed, false],
    [fleet.instance_policy_json, elb(call), group, keys(own, 'Name'), false],
    ...['managed', 'paused', 'max-unavailable', 'fleet-size'].map((tag) => [fleet.instance_policy_json, elb(call), group, keys(`node-agent/${tag}`), false]),
    [pinned, elb(call), group, keys('node-agent/lease/AROAEXAMPLE0123456789:i-0123456789abcdef0'), true],
    [pinned, elb(call), group, keys('node-agent/lease/AROAEXAMPLE0123456789:i-0fedcba9876543210'), false],
    [pinned, elb(call), group, keys(own), false],
    [fleet.operator_policy_json, elb(call), group, keys(own), true],
    [fleet.operator_policy_json, elb(call), group, keys('node-agent/paused'), true],
    [fleet.operator_policy_json, elb(call), group, keys('node-agent/max-unavailable'), false],
    [fleet.operator_policy_json, elb(call), other, keys('node-agent/paused'), false],
  ]),
  ...['ModifyTargetGroupAttributes', 'DeleteTargetGroup'].map((call) => [fleet.instance_policy_json, elb(call), group, managed, false]),
  [fleet.instance_policy_json, 'ec2:TerminateInstances', `arn:aws:ec2:eu-west-1:${account}:instance/i-0123456789abcdef0`, {}, false],
  [fleet.instance_policy_json, 's3:PutObject', `arn:aws:s3:::${fleet.artefact_bucket}/packages/node-agent.rpm`, {}, false],
  [fleet.operator_policy_json, 'ec2:DescribeInstances', '*', {}, true],
  [fleet.window_policy_json, 'ssm:SendCommand', `arn:aws:ssm:eu-west-1:${account}:document/${fleet.document_names.maintain}`, {}, true],
  [fleet.window_policy_json, 'ssm:SendCommand', 'arn:aws:ssm:eu-west-1::document/AWS-RunShellScript', {}, false],
]
let wrong = 0
for (const [policy, action, resource, context, wanted] of table) {
  if (allows(policy, action, resource, context) === wanted) continue
  wrong += 1
  console.error(`${action} on ${resource} with ${JSON.stringify(context)} should be ${wanted ? 'allowed' : 'denied'}`)
}
console.log(`${table.length} calls asked, ${wrong} answered wrongly`)
process.exit(wrong ? 1 : 0)
