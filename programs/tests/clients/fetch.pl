# Fetches every message of alice's maildrop: HOST PORT DIRECTORY keep|delete password|apop.

use strict;
use warnings;
use Net::POP3;

my ($host, $port, $directory, $wish, $login) = @ARGV;
my $server = Net::POP3->new("$host:$port") or die "cannot connect: $@";
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
