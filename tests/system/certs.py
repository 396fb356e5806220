"""Certificates of every shape for system tests, made with the openssl program: a root, intermediates, leaves with their days."""

import os
import subprocess
import time

DAY = 86400
CONFIG = """
[ca]
default_ca = d
[d]
database = {folder}/index
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = p
unique_subject = no
copy_extensions = copy
[p]
commonName = supplied
"""


def sh(*argv, **kw):
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw).stdout


def moment(days):
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + days * DAY))


class Authority:
    """Made in a folder of its own; issuer: the Authority above, or None for a root."""

    def __init__(self, folder, name, issuer=None, days=(-1, 400)):
        self.folder, self.name, self.issuer = os.path.join(folder, name.replace(" ", "-")), name, issuer
        os.mkdir(self.folder)
        self.config, self.pem, self.key = (os.path.join(self.folder, f) for f in ("ca.cnf", "ca.pem", "ca.key"))
        open(os.path.join(self.folder, "index"), "w", encoding="ascii").close()
        with open(self.config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(folder=self.folder))
        self.key = new_key(self.key)
        by = issuer if issuer is not None else self
        by.sign(self.pem, self.key, name, days, "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature\n",
                selfsign=issuer is None)

    @classmethod
    def of(cls, pki, folder):
        """The one that stands in a folder already (ca.pem, ca.key); folder: for what it writes beside."""
        self = cls.__new__(cls)
        self.folder, self.name, self.issuer = folder, "", None
        self.config, self.pem, self.key = os.path.join(folder, "ca.cnf"), os.path.join(pki, "ca.pem"), os.path.join(pki, "ca.key")
        open(os.path.join(folder, "index"), "w", encoding="ascii").close()
        with open(self.config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(folder=folder))
        return self

    def sign(self, out, key, name, days, extensions, selfsign=False):
        """A certificate for a key: days from and until now."""
        request, ext = out + ".csr", out + ".ext"
        sh("openssl", "req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        with open(ext, "w", encoding="ascii") as f:
            f.write(extensions + "subjectKeyIdentifier=hash\n")
        argv = ["openssl", "ca", "-batch", "-notext", "-config", self.config, "-in", request, "-out", out, "-extfile", ext,
                "-startdate", moment(days[0]), "-enddate", moment(days[1]), "-keyfile", key if selfsign else self.key]
        sh(*argv, *(["-selfsign"] if selfsign else ["-cert", self.pem]))

    def leaf(self, name, san="", days=(-1, 30), key=None, chain=True, selfsign=False):
        """Paths of PEM files (certificate and, with chain, the intermediates; key)."""
        base = os.path.join(self.folder, name.replace("*", "_"))
        key = key or new_key(base + ".key")
        extensions = "extendedKeyUsage=serverAuth\n" + (f"subjectAltName={san}\n" if san else "")
        self.sign(base + ".crt", key, name, days, extensions, selfsign)
        with open(base + ".pem", "wb") as out:
            for path in [base + ".crt"] + (self.chain() if chain and not selfsign else []):
                with open(path, "rb") as f:
                    out.write(f.read())
        return base + ".pem", key

    def chain(self):
        """This and those above it without the root."""
        return [] if self.issuer is None else [self.pem] + self.issuer.chain()

    def root(self):
        return self.pem if self.issuer is None else self.issuer.root()

    def staple(self, leaf, out, good=True, next_days=1):
        """An OCSP answer about a leaf; next_days below 0: outdated."""
        request = out + ".req"
        serial = sh("openssl", "x509", "-in", leaf, "-noout", "-serial", text=True).strip().split("=")[1]
        index = out + ".index"
        with open(index, "w", encoding="ascii") as f:
            until = time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + 30 * DAY))
            revoked = time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() - DAY))
            f.write(f"{'V' if good else 'R'}\t{until}\t{'' if good else revoked}\t{serial}\tunknown\t/CN=x\n")
        sh("openssl", "ocsp", "-issuer", self.pem, "-cert", leaf, "-reqout", request, "-no_nonce")
        argv = ["openssl", "ocsp", "-index", index, "-CA", self.pem, "-rsigner", self.pem, "-rkey", self.key, "-reqin", request,
                "-respout", out, "-ndays", str(next_days)]
        sh(*argv)


def new_key(path, kind="ec"):
    if kind == "rsa":
        sh("openssl", "genrsa", "-out", path, "2048")
    else:
        sh("openssl", "ecparam", "-name", "SM2" if kind == "sm2" else "prime256v1", "-genkey", "-noout", "-out", path)
    return path
