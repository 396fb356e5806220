/*
 * ca: the small certificate authority: `xunjian-collector ca init` and `ca issue`.
 *
 * A folder (0700) holds ca.pem, ca.key (0600) and issued.txt, the list of all that was ever issued, one
 * line each, only appended to and on disk before the certificate is. Keys are P-256, serials random. A
 * leaf's SAN is its name (and the addresses given), which lib/tls takes as the identity. Files come into being
 * whole (temporary name, fsync, rename) and are never overwritten but by --renew, which makes
 * a new certificate for the key that stands there.
 */
#ifndef COLLECTOR_CA_H
#define COLLECTOR_CA_H

/* argv[0] is "ca". Exit status of the program: 0 fine, 1 runtime error, 2 usage. */
int ca_main(int argc, char **argv);

#endif
