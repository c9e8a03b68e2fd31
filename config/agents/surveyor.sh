#!/bin/sh
# A demo agent without a model: it counts what lies in the current directory.
# Like every agent it reads its task from standard input and answers in <result> tags.
export LC_ALL=C

think() {
    printf '%s\n' "· $*"
    sleep 0.4
}

files() {
    find . \( -name .git -o -name target -o -name node_modules \) -prune -o -type f -print |
        head -n 5000
}

words=$(wc -w)
think "I have read my task, $((words)) words. I look at $(basename "$PWD")."

count=$(files | wc -l)
folders=$(files | sed 's|/[^/]*$||' | sort -u | wc -l)
think "$((count)) files in $((folders)) folders. Now their weight."

size=$(files | tr '\n' '\0' | xargs -0r du -k 2>/dev/null | awk '{ sum += $1 } END { print sum + 0 }')
think "$size KiB on the disk. And what are they?"

kinds=$(files | sed -n 's|.*/[^/]\{1,\}\.\([A-Za-z0-9_]\{1,12\}\)$|.\1|p' |
    sort | uniq -c | sort -k1,1nr -k2 | head -n 4 |
    awk '{ list = list (NR > 1 ? ", " : "") $2 " (" $1 ")" } END { print list }')
think "Mostly ${kinds:-files without an ending}."

cat <<END
<result>
- **Files**: $((count)) in $((folders)) folders
- **Weight**: $size KiB
- **Kinds**: ${kinds:-none with an ending}
</result>
END
