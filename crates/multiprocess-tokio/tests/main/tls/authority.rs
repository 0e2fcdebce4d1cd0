//! Certificates, made for each test.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use multiprocess_tokio::tls::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    IsCa, KeyIdMethod, KeyPair, RevokedCertParams, SerialNumber, date_time_ymd,
};
use tempfile::TempDir;

/// An authority, and the directory in which its certificates are.
pub(super) struct Authority {
    pub(super) dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// Made for this name and valid now, unless changed.
pub(super) fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

/// It has expired.
pub(super) fn expired(name: &str) -> CertificateParams {
    let mut params = params(name);
    params.not_before = date_time_ymd(2001, 1, 1);
    params.not_after = date_time_ymd(2002, 1, 1);
    params
}

impl Authority {
    pub(super) fn new(name: &str) -> Authority {
        let mut params = params("authority.example");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let authority = Authority { dir: TempDir::new().unwrap(), issuer };
        authority.write("authorities", &authority.issuer.pem());
        authority
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
        std::fs::set_permissions(self.path(name), Permissions::from_mode(0o600)).unwrap();
    }

    /// Signs a certificate, into the files `NAME.pem` and `NAME.key`; its DER.
    pub(super) fn sign(&self, name: &str, params: &CertificateParams) -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
        certificate.der().to_vec()
    }

    /// The identity of a certificate that it signs, which trusts the peers of another authority.
    pub(super) fn identity(&self, params: &CertificateParams, trusts: &Authority) -> Identity {
        self.sign("own", params);
        let (certificate, key) = (self.path("own.pem"), self.path("own.key"));
        Identity::from_pem_files(&certificate, &key, &trusts.path("authorities")).unwrap()
    }

    /// One that trusts its own peers.
    pub(super) fn member(&self, name: &str) -> Identity {
        self.identity(&params(name), self)
    }

    /// The certificate of the authority itself, as PEM.
    pub(super) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The list of these certificates that it has revoked, by their serial numbers, as PEM; the next one is due then.
    pub(super) fn revokes(&self, serials: &[u64], next: SystemTime) -> String {
        let epoch = date_time_ymd(1970, 1, 1);
        let since = next.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let revoked = serials.iter().map(|&serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: epoch,
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: epoch,
            next_update: epoch + Duration::from_secs(since.as_secs()),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}
