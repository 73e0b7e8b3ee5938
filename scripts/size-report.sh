#!/usr/bin/env bash
# Builds slack-notifier as it goes to Lambda, and says how large it is and what makes it so.
# Fails above the limit, and if anything is linked that should not be: another TLS stack, or a power that
# listeners do not have.
set -euo pipefail
cd "$(dirname "$0")/.."

limit=$((8 * 1000 * 1000))
what=(--locked --package slack-notifier --no-default-features --features aws,lambda)
failed=0

# With its symbols, to see whose the bytes are; without them it is what is deployed. Linked once.
cargo rustc "${what[@]}" --profile function --bin slack-notifier -- -C strip=none
folder=target/size
mkdir -p "$folder"
cp target/function/slack-notifier "$folder/with-symbols"
strip --strip-all -o "$folder/slack-notifier" "$folder/with-symbols"

size=$(stat -c %s "$folder/slack-notifier")
echo "== slack-notifier for $(rustc -vV | sed -n 's/^host: //p'): $size bytes, at most $limit"
if ((limit < size)); then failed=1; fi

echo "== Its sections"
size --format=sysv "$folder/slack-notifier" | awk '30000 < $2 + 0 && $1 != "Total" { printf "%9.1f KiB  %s\n", $2 / 1024, $1 }'

echo "== The ten largest crates, by the code and data that bear their names (generic code bears that of where it was written)"
nm --print-size --size-sort --radix=d --demangle "$folder/with-symbols" | awk '
    {
        size = $2
        sub(/^[^ ]+ [^ ]+ [^ ]+ /, "")
        # `<dyn crate::Trait as ..>` and `<&mut crate::Type as ..>` are of that crate.
        while (sub(/^(<|&|\*|\(|\[|mut |dyn |const |impl )/, "")) {}
        if (/aws_lc/) name = "aws-lc-sys"
        else if (match($0, /^[a-z_][a-z0-9_]*::/)) name = substr($0, 1, RLENGTH - 2)
        else if (/^_?[A-Za-z0-9_.$]+$/) name = "aws-lc-sys (assembly) and C"
        else name = "generic"
        sizes[name] += size
    }
    END { for (name in sizes) printf "%9.1f KiB  %s\n", sizes[name] / 1024, name }
' | sort -rn | sed -n 1,10p

echo "== What it can ask of AWS: nothing that makes a key, and nothing that writes a row"
operations=$(nm --demangle "$folder/with-symbols" | grep -oE 'aws_sdk_[a-z]+::operation::[a-z_]+' | sed 's/::operation::/ /' | sort -u)
echo "$operations"
for operation in generate_data_key re_encrypt create_secret put_secret_value update_secret_version_stage put_item \
    delete_item; do
    if grep -q " $operation$" <<<"$operations"; then
        echo "linked, and should not be: $operation"
        failed=1
    fi
done

echo "== What it asks of the system's libc (Amazon Linux 2023 has 2.34; scripts/build-functions.sh --arm64 links for that)"
objdump -T "$folder/slack-notifier" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1

echo "== One TLS stack, and no more than is needed"
tree=$(cargo tree "${what[@]}" --edges normal --prefix none --format '{p}' | awk '{ print $1, $2 }' | sort -u)
absent() {
    if found=$(grep -E "^$1 v$2" <<<"$tree"); then
        echo "linked, and should not be: $found"
        failed=1
    fi
}
for crate in ring openssl openssl-sys native-tls aws-sdk-sso aws-sdk-ssooidc rusqlite; do absent "$crate" ""; done
absent hyper '0\.'
absent h2 ''
absent aws-smithy-http-client ''
for crate in rustls aws-lc-rs aws-lc-sys hyper; do
    versions=$(grep -E "^$crate v" <<<"$tree") || versions=
    echo "$versions"
    if [ "$(grep -c . <<<"$versions")" != 1 ]; then
        echo "$crate is needed once"
        failed=1
    fi
done
echo "$(wc -l <<<"$tree") packages in all"

if ((failed)); then
    echo "== Not as it should be: see above." >&2
    exit 1
fi
echo "== As it should be."
