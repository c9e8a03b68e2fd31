#!/bin/sh
# A demo agent without a model: it measures the text in the current directory.
# Like every agent it reads its task from standard input and answers in <result> tags.
export LC_ALL=C

think() {
    printf '%s\n' "· $*"
    sleep 0.5
}

# Text files up to 1 MiB; a grep that cannot tell text from binary lets everything pass.
texts() {
    find . \( -name .git -o -name target -o -name node_modules \) -prune \
        -o -type f -size -2048 -print | head -n 5000 | tr '\n' '\0' |
        if printf 'x\n' | grep -qI x 2>/dev/null; then
            xargs -0r grep -Il '' 2>/dev/null
        else
            tr '\0' '\n'
        fi
}

# One line for each file, "lines name", the longest first.
lengths() {
    texts | tr '\n' '\0' | xargs -0r wc -l /dev/null 2>/dev/null |
        awk '$2 != "total" && $2 != "/dev/null"' | sort -k1,1nr -k2
}

words=$(wc -w)
think "I have read my task, $((words)) words. I open every text I can find."

lines=$(lengths | awk '{ sum += $1 } END { print sum + 0 }')
count=$(lengths | wc -l)
think "$lines lines in $((count)) texts. Some are longer than others."

longest=$(lengths | head -n 3 |
    awk '{ lines = $1; sub(/^ *[0-9]+ \.\//, ""); list = list (NR > 1 ? ", " : "") "`" $0 "` (" lines ")" } END { print list }')
think "The longest: ${longest:-none}."

middle=$(lengths | awk -v half="$((count / 2 + 1))" 'NR == half { print $1 }')
think "Half of them have fewer than ${middle:-0} lines."

cat <<END
<result>
- **Lines**: $lines in $((count)) texts
- **Longest**: ${longest:-none}
- **Typical length**: ${middle:-0} lines
</result>
END
