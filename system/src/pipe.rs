//! Pipes that are filled before anybody reads them.

use std::io;
use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

/// The reading end of a pipe that holds `octets` and then ends. No process has
/// to stay behind to write them.
///
/// # Errors
/// What the kernel reports; a pipe that cannot take the octets whole is
/// `WouldBlock` or `WriteZero`.
pub fn holding(octets: &[u8]) -> io::Result<OwnedFd> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&writer, true)?;
    write_whole(&writer, octets)?;
    Ok(reader)
}

/// Writes all `octets` without ever waiting. A user who has many pipes open
/// gets small ones (pipe(7)), so ours is made larger if need be.
fn write_whole(writer: &OwnedFd, octets: &[u8]) -> io::Result<()> {
    // A page may hold as little as one write.
    let enough = 2 * octets.len();
    let mut written = 0;
    while written < octets.len() {
        match rustix::io::write(writer, &octets[written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => written += count,
            Err(rustix::io::Errno::INTR) => {}
            Err(rustix::io::Errno::AGAIN) if fcntl_getpipe_size(writer)? < enough => {
                fcntl_setpipe_size(writer, enough)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{holding, write_whole};
    use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
    use std::io::Read;

    #[test]
    fn a_pipe_holds_its_octets_and_ends() {
        let mut octets = Vec::new();
        std::fs::File::from(holding(b"user\0secret\0").unwrap()).read_to_end(&mut octets).unwrap();
        assert_eq!(octets, b"user\0secret\0");
        std::fs::File::from(holding(b"").unwrap()).read_to_end(&mut octets).unwrap();
        assert_eq!(octets.len(), 12);
    }

    #[test]
    fn a_pipe_that_is_too_small_is_made_larger() {
        let (reader, writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
        fcntl_setpipe_size(&writer, 4096).unwrap();
        write_whole(&writer, &[b'x'; 8191]).unwrap();
        assert_eq!(rustix::io::ioctl_fionread(&reader).unwrap(), 8191);
    }
}
