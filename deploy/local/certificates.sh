#!/usr/bin/env bash
# A certificate authority of your own, and one certificate for scheduler, workers and client.
# certificates.sh FOLDER [HOST...]: the names or addresses that the scheduler is reached by
set -euo pipefail
folder=$1
shift
names=
for host in "${@:-127.0.0.1}"; do
    case $host in
        *[!0-9.]*) names+=",DNS:$host" ;;
        *) names+=",IP:$host" ;;
    esac
done
umask 077  # keys are for the owner alone
mkdir -p "$folder"
cd "$folder"
openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj "/CN=emodask authority" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign" \
    -keyout ca-key.pem -out ca.pem 2>/dev/null
openssl req -newkey rsa:3072 -nodes -subj "/CN=emodask" -keyout key.pem -out request.pem 2>/dev/null
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 365 -sha256 \
    -extfile <(echo "subjectAltName=${names#,}") -out cert.pem 2>/dev/null
rm -f request.pem ca.srl
echo "ca.pem, cert.pem and key.pem are in $PWD; give no one ca-key.pem"
