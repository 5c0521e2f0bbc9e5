// The policies as Terraform renders them, asked call by call: what the agent and operators need is allowed, what they must
// not do is denied. Reads {calls, fleet} from standard input; the argument is where iam-simulate is installed.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const { runSimulation } = createRequire(`${process.argv[2]}/node_modules/`)('@cloud-copilot/iam-simulate')
const { calls, fleet } = JSON.parse(readFileSync(0, 'utf8'))
const account = '123456789012'
const group = fleet.target_group_arn
const other = group.replace(/targetgroup\/.*/, 'targetgroup/payments/0123456789abcdef')
const own = 'node-agent/lease/i-0123456789abcdef0'
const managed = { 'aws:ResourceTag/node-agent/managed': 'true' }
const keys = (...names) => ({ ...managed, 'aws:TagKeys': names })
const elb = (name) => `elasticloadbalancing:${name}`
const pinned = JSON.parse(JSON.stringify(fleet.instance_policy_json).replaceAll('node-agent/lease/*', 'node-agent/lease/${aws:userid}'))

async function allows(policy, action, resource, context) {
  const answer = await runSimulation({
    request: {
      principal: `arn:aws:sts::${account}:assumed-role/node/i-0123456789abcdef0`, action,
      resource: { resource, accountId: account },
      contextVariables: { 'aws:userid': 'AROAEXAMPLE0123456789:i-0123456789abcdef0', ...context },
    },
    identityPolicies: [{ name: 'policy', policy: JSON.parse(policy) }],
    serviceControlPolicies: [], resourceControlPolicies: [],
  }, {})
  if (answer.errors) throw new Error(`${action}: ${JSON.stringify(answer.errors)}`)
  return (answer.overallResult ?? answer.analysis?.result ?? answer.resultType) === 'Allowed'
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
  if ((await allows(policy, action, resource, context)) === wanted) continue
  wrong += 1
  console.error(`${action} on ${resource} with ${JSON.stringify(context)} should be ${wanted ? 'allowed' : 'denied'}`)
}
console.log(`${table.length} calls asked, ${wrong} answered wrongly`)
process.exit(wrong ? 1 : 0)
