mod smoke {
    use multiprocess::*;
    use multiprocess_tests::generated::lab::*;
    struct L;
    impl Lab for L {
        fn add(&self, a: i32, b: i32) -> Result<i32> { Ok(a+b) }
        fn add_inline(&self, a: i32, b: i32) -> Result<i32> { Ok(a+b) }
    }
    #[test]
    fn add() {
        let (a,b) = std::os::unix::net::UnixStream::pair().unwrap();
        let _s = Connection::builder().serve(LabClient::new(L)).start(a).unwrap();
        let c = Connection::new(b).unwrap();
        let lab: LabClient = c.bootstrap().unwrap();
        assert_eq!(lab.add(1,2).wait().unwrap(), 3);
        assert_eq!(lab.add_inline(1,2).wait().unwrap(), 3);
        println!("{:?}", lab.missing().wait());
        let n = 20000;
        for _ in 0..3 {
        let t = std::time::Instant::now();
        for _ in 0..n { lab.add(1,2).wait().unwrap(); }
        println!("mapped {:?}", t.elapsed()/n);
        let t = std::time::Instant::now();
        for _ in 0..n { lab.add_inline(1,2).wait().unwrap(); }
        println!("inline {:?}", t.elapsed()/n);
        }
    }
}
