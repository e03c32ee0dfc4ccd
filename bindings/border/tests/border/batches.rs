//! What a batch carries is what single calls carry.

use frazil_border::{Path, batch};

use crate::{peer, socket};

fn entry(number: u32, bytes: &[u8]) -> Vec<u8> {
    [&number.to_le_bytes()[..], &(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

#[test]
fn entries_come_apart_as_they_were_put_together() {
    let whole = [entry(1, b"one"), entry(u32::MAX, b""), entry(3, &[3; 1500])].concat();
    let apart: Vec<_> = batch::entries(&whole).map(Result::unwrap).map(|e| (e.number, e.bytes.to_vec())).collect();
    assert_eq!(apart, [(1, b"one".to_vec()), (u32::MAX, Vec::new()), (3, vec![3; 1500])]);
    for cut in 1..whole.len() {
        let entries: Vec<_> = batch::entries(&whole[..cut]).collect();
        let at_an_end = [11, 19].contains(&cut);
        assert_eq!(entries.last().unwrap().is_err(), !at_an_end, "cut at {cut}");
        assert!(entries[..entries.len() - 1].iter().all(Result::is_ok));
    }
}

#[test]
fn a_batch_stops_at_a_number_that_names_no_path() {
    let peer = peer(1);
    peer.handle_network_change(&[socket("192.0.2.1", 4000)], 0).unwrap();
    let path = peer.path_id(&Path {
        protocol: "udp".to_owned(),
        local_ip: "192.0.2.1".to_owned(),
        local_port: 4000,
        remote_ip: "192.0.2.2".to_owned(),
        remote_port: 4000,
    });
    let path = path.unwrap();
    let batch = [entry(path, b"x"), entry(path, b""), entry(path + 1, b"x"), entry(path, b"x")].concat();
    assert_eq!(peer.handle_datagrams(&batch, 0), Ok(2));
    assert_eq!(peer.handle_datagrams(&[], 0), Ok(0));
}
