# A stand-in for amazon-ssm-agent, as it was seen to behave under systemd with real reboots (version 3.3.1142.0):
#
# - It runs each script as `sh -c .../orchestration/ID/RUN/STEP/_script.sh`, in the unit of the agent, in a process group of
#   its own, without the environment of node-agent's units.
# - On exit code 194 it runs `shutdown -r +1` and stops its processors. Delivered by MGS, a second 194 stays unread until
#   after the boot, and leads to another reboot. Delivered by MDS, it is read, and replaces the first.
# - After the boot it runs the scripts that have answered 194 again, from the top.
# - A script that runs when the machine goes down dies with it, and its command has failed.
# - Started again in the same boot, the agent finds its scripts again, and runs those that have answered 194 at once.
#
# sh agent.sh DIRECTORY DELIVERY, with BOOT_ID (a file) and INVOCATION_ID in the environment. In DIRECTORY/commands, each
# command is a directory: `id`, `script` and `state` (new, running, rebooting, done) to begin with.
dir=$1
delivery=$2
boot=$(cat "$BOOT_ID")
stopped=
quit=
trap 'quit=1' TERM

state() { echo "$2" >"$1/state.new" && mv "$1/state.new" "$1/state"; }

# The document worker and the script outlive the agent.
start() {
  echo "$boot" >"$1/boot"
  state "$1" running
  # shellcheck disable=SC2016 # Its own arguments.
  setsid -f env -i PATH="$PATH" LANG=C.UTF-8 INVOCATION_ID="$INVOCATION_ID" JOURNAL_STREAM=8:1 \
    AWS_SSM_INSTANCE_ID=i-0a000000000000001 AWS_SSM_REGION_NAME=us-east-1 AWS_SSM_PLATFORM_NAME=Debian \
    AWS_SSM_PLATFORM_VERSION=12 SSM_COMMAND_ID="$(cat "$1/id")" \
    sh -c 'cd /usr/bin; umask 022
      setsid --wait sh -c '\''echo $$ >"$1/leader"; exec sh -c "$2"'\'' sh "$1" "$2" </dev/null >>"$1/stdout" 2>>"$1/stderr"
      echo $? >"$1/result.new" && mv "$1/result.new" "$1/result"' sh "$1" "$(cat "$1/script")"
}

read_result() {
  code=$(cat "$1/result")
  rm "$1/result"
  echo "$code" >>"$1/codes"
  if [ "$code" = 194 ]; then
    state "$1" rebooting
    shutdown -r +1
    [ "$delivery" = mds ] || stopped=1
  else
    state "$1" 'done'
  fi
}

for command in "$dir"/commands/*/; do
  [ -e "$command/state" ] || continue
  case $(cat "$command/state") in
  rebooting) start "$command" ;;
  running)
    if [ ! -e "$command/result" ] && [ "$(cat "$command/boot")" != "$boot" ]; then
      echo 1 >>"$command/codes"
      echo 'document process failed unexpectedly' >>"$command/stderr"
      state "$command" 'done'
    fi
    ;;
  esac
done
echo "$boot" >"$dir/started"
while [ -z "$quit" ]; do
  for command in "$dir"/commands/*/; do
    [ -z "$stopped" ] && [ -e "$command/state" ] || continue
    case $(cat "$command/state") in
    new) start "$command" ;;
    running) [ ! -e "$command/result" ] || read_result "$command" ;;
    esac
  done
  sleep 0.1
done
