#!/bin/sh
# Starts Maple WebUI. Flags and variables may stand in webui-user.sh beside this file, in A1111's names.
here=$(cd "$(dirname "$0")" && pwd) || exit 1
[ -f "$here/webui-user.sh" ] && . "$here/webui-user.sh"
export COMMANDLINE_ARGS INDEX_URL TORCH_COMMAND TORCH_INDEX_URL
export PYTHONUTF8=1
python=${python_cmd:-}
for name in python3.11 python3.12 python3.13 python3 python; do
    [ -n "$python" ] && break
    "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && python=$name
done
exec "${python:-python3}" "$here/launch.py" "$@"
