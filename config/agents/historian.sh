#!/bin/sh
# A demo agent without a model: it finds out when the current directory was last worked on.
# Its first attempt fails on purpose, so that you can watch the supervisor notice and retry.
export LC_ALL=C

think() {
    printf '%s\n' "· $*"
    sleep 0.3
}

files() {
    find . \( -name .git -o -name target -o -name node_modules \) -prune -o -type f "$@" -print |
        head -n 5000
}

words=$(wc -w)
think "I have read my task, $((words)) words. This is my attempt ${MUXVISOR_ATTEMPT:-1}."

if [ "${MUXVISOR_ATTEMPT:-1}" -eq 1 ]; then
    think "I reach for the calendar ..."
    think "... and drop it."
    echo 'historian: dropped the calendar (staged: the first attempt always fails)' >&2
    exit 1
fi

think "This time I hold the calendar with both hands."

day=$(files -mtime -1 | wc -l)
week=$(files -mtime -7 | wc -l)
year=$(files -mtime +365 | wc -l)
think "$((day)) files changed within a day, $((week)) within a week."

newest=$(files | head -n 2000 | tr '\n' '\0' | xargs -0r ls -1td 2>/dev/null | head -n 3 |
    awk '{ sub(/^\.\//, ""); list = list (NR > 1 ? ", " : "") "`" $0 "`" } END { print list }')
think "The newest: ${newest:-none}."

cat <<END
<result>
- **Changed**: $((day)) files within a day, $((week)) within a week
- **Untouched for a year**: $((year)) files
- **Newest**: ${newest:-none}
</result>
END
