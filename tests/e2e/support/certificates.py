"""Certificates, keys and OCSP responses, made when a test asks for them."""

import datetime
import ipaddress
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def _now():
    return datetime.datetime.utcnow().replace(microsecond=0)


def _days(count):
    return datetime.timedelta(days=count)


def _key(kind):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def key_pem(key, password=None):
    protection = serialization.BestAvailableEncryption(password.encode()) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


class Leaf:
    """A certificate and its key, in files."""

    def __init__(self, authority, certificate, key, path):
        self.authority = authority
        self.x509 = certificate
        self.private = key
        self.certificate = str(path) + ".pem"
        self.key = str(path) + ".key"
        self.ocsp = None

    @property
    def der(self):
        return self.x509.public_bytes(serialization.Encoding.DER)

    def save(self, password=None, joined=False):
        """Write the files; joined: the key in the certificate's."""
        pem = self.x509.public_bytes(serialization.Encoding.PEM)
        key = key_pem(self.private, password)
        write(self.certificate, pem + key if joined else pem)
        write(self.key, key)
        return self

    @property
    def item(self):
        """As the configuration names it."""
        item = {"certificate": self.certificate, "key": self.key}
        return dict(item, ocsp=self.ocsp) if self.ocsp else item


def write(path, data):
    """Put a file in place as careful programs do: whole, under a new name, then renamed."""
    with open(path + ".new", "wb") as file:
        file.write(data)
    os.replace(path + ".new", path)


class Authority:
    """A certificate authority with its files in a directory."""

    def __init__(self, directory, name="Test Authority"):
        self.directory = directory
        self.key = _key("ecdsa")
        self.count = 0
        now = _now()
        self.x509 = (x509.CertificateBuilder().subject_name(_name(name)).issuer_name(_name(name))
                     .public_key(self.key.public_key()).serial_number(x509.random_serial_number())
                     .not_valid_before(now - _days(400)).not_valid_after(now + _days(400))
                     .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
                     .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
                     .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
                     .sign(self.key, hashes.SHA256()))
        self.file = str(directory / (name.replace(" ", "-").lower() + ".pem"))
        write(self.file, self.x509.public_bytes(serialization.Encoding.PEM))

    def leaf(self, *names, kind="ecdsa", begins=-1, ends=30, client=False, stem=None, **saved):
        """A certificate for these names or addresses. begins, ends: days from now."""
        self.count += 1
        key, now = _key(kind), _now()
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = (x509.CertificateBuilder().subject_name(_name(names[0])).issuer_name(self.x509.subject)
                   .public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now + _days(begins)).not_valid_after(now + _days(ends))
                   .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                   .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                                  critical=False)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False))
        if not client:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(name) for name in names]),
                                            critical=False)
        path = self.directory / (stem or f"{self.count}-{names[0].replace('*', 'any')}-{kind}")
        return Leaf(self, builder.sign(self.key, hashes.SHA256()), key, path).save(**saved)

    def staple(self, leaf, status=ocsp.OCSPCertStatus.GOOD, begins=-1, ends=7):
        """Write an OCSP response for a certificate of this authority."""
        now, revoked = _now(), status == ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=leaf.x509, issuer=self.x509, algorithm=hashes.SHA1(), cert_status=status,
            this_update=now + _days(begins), next_update=now + _days(ends),
            revocation_time=now - _days(1) if revoked else None, revocation_reason=None)
        answer = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, self.x509).sign(self.key, hashes.SHA256())
        leaf.ocsp = leaf.certificate.replace(".pem", ".ocsp")
        write(leaf.ocsp, answer.public_bytes(serialization.Encoding.DER))
        return leaf.ocsp
