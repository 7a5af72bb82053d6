# Fetches every message of alice's maildrop: HOST PORT DIRECTORY keep|delete password|apop clear|stls|tls AUTHORITY.

use strict;
use warnings;
use Net::POP3;

my ($host, $port, $directory, $wish, $login, $security, $authority) = @ARGV;
my %tls = (SSL_ca_file => $authority, SSL_verifycn_name => "localhost", SSL_hostname => "localhost");
my $server = Net::POP3->new("$host:$port", $security eq "tls" ? (SSL => 1, %tls) : ())
    or die "cannot connect: $@";
$security ne "stls" or $server->starttls(%tls) or die "STLS: ", $server->message;
my $messages_or_none = $login eq "apop" ? $server->apop("alice", "secret") : $server->login("alice", "secret");
defined $messages_or_none or die "cannot log in";
my $messages = $server->list;
for my $number (sort { $a <=> $b } keys %$messages) {
    my $lines = $server->get($number) or die "cannot fetch $number";
    open(my $file, ">:raw", "$directory/$number") or die "$directory/$number: $!";
    print $file @$lines;
    close($file) or die "$directory/$number: $!";
    $server->delete($number) if $wish eq "delete";
}
$server->quit;
